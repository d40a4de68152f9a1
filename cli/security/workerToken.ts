import { readFileSync } from 'node:fs';
import { type Config, ConfigError } from '../../bus/config.js';
import { isCurveKey } from '../../bus/zeromq/security/z85.js';
import { StartError } from '../startError.js';

/** All that a worker machine needs to join: one string, shown once. Whoever has it is that worker until it is revoked or expires. */
export interface WorkerToken {
  readonly name: string;
  readonly mode: 'push' | 'pull';
  /** Where the dispatcher is. */
  readonly url: string;
  /** The dispatcher's public key: the worker speaks to nobody else. */
  readonly serverKey: string;
  readonly publicKey: string;
  readonly secretKey: string;
  /** ISO time. */
  readonly expires: string;
}

export const WORKER_NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/i;
const PREFIX = 'mpcsfaas-worker-1.';

export function writeWorkerToken(token: WorkerToken): string {
  return PREFIX + Buffer.from(JSON.stringify(token)).toString('base64url');
}

/** @throws ConfigError when it is none; the error does not show it. */
export function readWorkerToken(text: string): WorkerToken {
  const wrong = new ConfigError('WORKER_TOKEN', '(hidden)', 'what `mpcsfaas worker-token NAME` has printed, whole');
  const trimmed = text.trim();
  if (!trimmed.startsWith(PREFIX)) throw wrong;
  let token: Partial<Record<keyof WorkerToken, unknown>>;
  try {
    token = JSON.parse(Buffer.from(trimmed.slice(PREFIX.length), 'base64url').toString('utf8')) as typeof token;
  } catch {
    throw wrong;
  }
  const { name, mode, url, serverKey, publicKey, secretKey, expires } = token;
  const texts = [name, url, serverKey, publicKey, secretKey, expires];
  if (!texts.every((one) => typeof one === 'string') || (mode !== 'push' && mode !== 'pull')) throw wrong;
  const [n, u, s, p, k, e] = texts as [string, string, string, string, string, string];
  if (!WORKER_NAME.test(n) || ![s, p, k].every(isCurveKey) || Number.isNaN(Date.parse(e))) throw wrong;
  return { name: n, mode, url: u, serverKey: s, publicKey: p, secretKey: k, expires: e };
}

/** The token of this worker as it is at the moment, if it has one. What it answers throws StartError, ConfigError. */
export function tokenSource({ workerToken, workerTokenFile }: Config): (() => WorkerToken) | undefined {
  if (workerToken !== undefined) return () => readWorkerToken(workerToken);
  return workerTokenFile === undefined ? undefined : () => readWorkerToken(readToken(workerTokenFile));
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new StartError(`The token file ${file} cannot be read.`, { cause });
  }
}

/** A dispatcher would refuse it; better to say so at once. @throws StartError */
export function requireOwnName(name: string | undefined, token: WorkerToken | undefined): void {
  if (name === undefined || !token || name === token.name || name.startsWith(`${token.name}.`)) return;
  throw new StartError(
    `The token is that of "${token.name}": a worker with it is called ${token.name}, or ${token.name}.SOMETHING, not ${name}.`,
  );
}
