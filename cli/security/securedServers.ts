import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type Credentials, natsUsers, nextRetirement, readCredentials, redisUsers } from './credentials.js';
import { watchForChanges } from './fileWatch.js';
import { isLoopback } from './posture.js';
import { writeSecretFile } from './secretFile.js';

/** What protects a server of ours. */
export interface ServerSecurity {
  /** Where it listens. */
  readonly host: string;
  /** File with its users. */
  readonly credentials: string;
  /** What it shows to whoever connects from elsewhere. */
  readonly tls?: { readonly certificate: string; readonly key: string; readonly authority: string };
}

const MAX_TIMER_MS = 2 ** 31 - 1;
const COMMAND_TIMEOUT_MS = 5_000;

const needsTls = ({ host }: ServerSecurity): boolean => !isLoopback(host);

/** Options of a redis-server in `directory`: where it listens, its users, its certificate. */
export function redisSecurityArgs(port: number, directory: string, security: ServerSecurity): string[] {
  const users = join(directory, 'users.acl');
  writeRedisUsers(users, readCredentials(security.credentials));
  const everywhere = ['0.0.0.0', '::'].includes(security.host);
  const listen = ['--bind', security.host, ...(isLoopback(security.host) || everywhere ? [] : ['127.0.0.1'])];
  const shown = needsTls(security) ? shownBy(directory, security) : undefined;
  const how = shown
    ? [
        ...['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no'],
        ...['--tls-cert-file', shown.certificate, '--tls-key-file', shown.key, '--tls-ca-cert-file', shown.authority],
      ]
    : ['--port', String(port)];
  return [...listen, ...how, '--aclfile', users];
}

/** The part of a nats-server's configuration that says where it listens, to whom, and what it shows. */
export function natsSecurityText(port: number, security: ServerSecurity): string {
  const { host, tls } = security;
  const shown =
    needsTls(security) && tls
      ? `tls { cert_file: ${JSON.stringify(tls.certificate)}, key_file: ${JSON.stringify(tls.key)}, timeout: 5 }\n`
      : '';
  const users = natsUsers(readCredentials(security.credentials), new Date());
  return `host: ${JSON.stringify(host)}\nport: ${port}\n${shown}${users}`;
}

/**
 * Keeps a server's users and certificate as the deployment's files say, while it runs. Returns how to stop.
 * @param tell has the server take over what the files say now
 */
export function followFiles(
  security: ServerSecurity,
  tell: () => Promise<void>,
  onError: (error: unknown) => void,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let telling = Promise.resolve();
  const apply = (): void => {
    telling = telling.then(tell).catch(onError);
    plan();
  };
  const plan = (): void => {
    clearTimeout(timer);
    try {
      const next = nextRetirement(readCredentials(security.credentials), new Date());
      if (next) timer = setTimeout(apply, Math.min(next.getTime() - Date.now() + 10, MAX_TIMER_MS)).unref();
    } catch (error) {
      onError(error);
    }
  };
  plan();
  const { credentials, tls } = security;
  const stopWatching = watchForChanges([credentials, ...(tls ? [tls.certificate] : [])], apply);
  return () => {
    stopWatching();
    clearTimeout(timer);
  };
}

/** Has a running redis-server take over users and certificate; nobody who is connected notices. */
export async function updateRedis(
  port: number,
  directory: string,
  socket: string | undefined,
  security: ServerSecurity,
): Promise<void> {
  const credentials = readCredentials(security.credentials);
  const redis = await connectAsAdmin(port, socket, security, credentials);
  try {
    for (const line of redisUsers(credentials, new Date())) {
      const [, name = '', ...rest] = line.split(' ');
      const passwords = rest.filter((word) => word.startsWith('#'));
      if (passwords.length > 0) await redis.call('ACL', 'SETUSER', name, 'resetpass', ...passwords);
    }
    writeRedisUsers(join(directory, 'users.acl'), credentials);
    if (needsTls(security)) {
      const { certificate, key } = shownBy(directory, security);
      await redis.call('CONFIG', 'SET', 'tls-cert-file', certificate, 'tls-key-file', key);
    }
  } finally {
    redis.disconnect();
  }
}

/** Whether it serves: it has loaded its data, and knows its users. */
export async function redisServes(
  port: number,
  socket: string | undefined,
  security: ServerSecurity,
): Promise<boolean> {
  try {
    const redis = await connectAsAdmin(port, socket, security, readCredentials(security.credentials));
    await redis.ping().finally(() => {
      redis.disconnect();
    });
    return true;
  } catch {
    return false;
  }
}

/** With whichever password the server knows: a new one it may not have heard of. */
async function connectAsAdmin(
  port: number,
  socket: string | undefined,
  security: ServerSecurity,
  { redis }: Credentials,
): Promise<Redis> {
  const { host, tls } = security;
  const secured =
    needsTls(security) && tls ? { tls: { ca: readFileSync(tls.authority), servername: 'localhost' } } : {};
  const place =
    socket === undefined
      ? { host: isLoopback(host) ? host : '127.0.0.1', port, ...secured }
      : { path: new URL(socket).pathname };
  let failure: unknown = new Error('no password of the administrator is known');
  for (const { secret } of redis.admin) {
    const options = {
      ...place,
      username: 'admin',
      password: secret,
      lazyConnect: true,
      commandTimeout: COMMAND_TIMEOUT_MS,
    };
    const connection = new Redis({
      ...options,
      connectTimeout: COMMAND_TIMEOUT_MS,
      retryStrategy: () => null,
      enableReadyCheck: false,
    });
    connection.on('error', (error) => (failure = error));
    try {
      await connection.connect();
      return connection;
    } catch {
      connection.disconnect();
    }
  }
  throw failure;
}

const writeRedisUsers = (path: string, credentials: Credentials): void =>
  writeSecretFile(path, `${redisUsers(credentials, new Date()).join('\n')}\n`);

/** Copies under names of their content: Redis loads a certificate again only when its name is another one. */
function shownBy(directory: string, { tls }: ServerSecurity): { certificate: string; key: string; authority: string } {
  if (!tls) throw new RangeError('a server beyond loopback has a certificate');
  const id = createHash('sha256').update(readFileSync(tls.certificate)).digest('hex').slice(0, 16);
  const [certificate, key] = [join(directory, `${id}.crt`), join(directory, `${id}.key`)];
  copyFileSync(tls.certificate, certificate);
  writeSecretFile(key, readFileSync(tls.key, 'utf8'));
  return { certificate, key, authority: tls.authority };
}
