import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PlatformError } from '../../bus/errors.js';
import type { Expiring } from './expiry.js';
import { writeSecretFile } from './secretFile.js';

export interface Pair {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

/** The platform's own authority: it signs for servers that the platform starts, and for nothing else. */
export function newAuthority(days: number): Pair {
  return withScratch((folder) => {
    const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')];
    openssl(
      ...['req', '-x509', ...NEW_KEY, '-keyout', key, '-out', certificate, '-days', String(days)],
      ...['-subj', '/CN=MPCSFaaS deployment', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    );
    return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
  });
}

/** A certificate for servers at these names and addresses. */
export function newServerCertificate(authority: Pair, hosts: readonly string[], days: number): Pair {
  return withScratch((folder) => {
    const at = (name: string): string => join(folder, name);
    writeFileSync(at('ca.crt'), authority.certificate);
    writeFileSync(at('ca.key'), authority.key, { mode: 0o600 });
    const names = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`).join(',');
    writeFileSync(
      at('extensions'),
      `subjectAltName=${names}\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n`,
    );
    openssl('req', '-new', ...NEW_KEY, '-keyout', at('key'), '-out', at('request'), '-subj', '/CN=MPCSFaaS server');
    openssl(
      ...['x509', '-req', '-in', at('request'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'],
      ...['-days', String(days), '-sha256', '-extfile', at('extensions'), '-out', at('certificate')],
    );
    return { certificate: readFileSync(at('certificate'), 'utf8'), key: readFileSync(at('key'), 'utf8') };
  });
}

export function writePair(pair: Pair, certificatePath: string, keyPath: string): void {
  // The key first: who looks in between sees an old certificate with a new key, and looks again.
  writeSecretFile(keyPath, pair.key);
  writeSecretFile(certificatePath, pair.certificate);
}

/** The end of a certificate, for `warnBeforeExpiry`. */
export function expiryOf(path: string): Expiring {
  return {
    what: `the certificate ${path}`,
    at: new Date(new X509Certificate(readFileSync(path)).validTo).toISOString(),
  };
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-sha256'];

function withScratch<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'mpcsfaas-tls-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function openssl(...args: string[]): void {
  try {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 30_000 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new PlatformError('DEPENDENCY_MISSING', 'openssl is not installed: certificates are made with it.', {
        cause,
      });
    }
    throw cause;
  }
}
