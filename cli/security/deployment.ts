import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { newApiKey } from '../../bus/apiKeys.js';
import { newCurveKeys } from '../../bus/zeromq/security/curveKeys.js';
import { StartError } from '../startError.js';
import { newAuthority, newServerCertificate, type Pair, writePair } from './certificates.js';
import { type Credentials, newCredentials, roleVariables, writeCredentials } from './credentials.js';
import { type DispatcherKey, writeKeys, type WorkerKey } from './keyFiles.js';
import { makeSecretFolder, writeSecretFile } from './secretFile.js';
import { WORKER_NAME, writeWorkerToken } from './workerToken.js';

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3_650;
export const SERVER_DAYS = 365;
/** The workers that `mpcsfaas up` starts itself; their token lies beside all other secrets. */
export const LOCAL_WORKER = 'local';
const LOCAL_DAYS = 3_650;

interface PairPaths {
  readonly certificate: string;
  readonly key: string;
}

export interface DeploymentFiles {
  readonly config: string;
  readonly credentials: string;
  readonly dispatcherKeys: string;
  readonly workerKeys: string;
  readonly localToken: string;
  readonly authority: PairPaths;
  readonly server: PairPaths;
}

/** Where the parts of a deployment lie. */
export const filesOf = (directory: string): DeploymentFiles => ({
  config: join(directory, 'mpcsfaas.env'),
  credentials: join(directory, 'credentials.json'),
  dispatcherKeys: join(directory, 'dispatcher-keys.json'),
  workerKeys: join(directory, 'worker-keys.json'),
  localToken: join(directory, 'local-worker.token'),
  authority: { certificate: join(directory, 'tls', 'ca.crt'), key: join(directory, 'tls', 'ca.key') },
  server: { certificate: join(directory, 'tls', 'server.crt'), key: join(directory, 'tls', 'server.key') },
});

export interface InitOptions {
  readonly directory: string;
  /** How other machines reach this one; without it everything stays on loopback. */
  readonly host?: string;
  readonly apiPort: number;
  readonly dispatcherPort: number;
  readonly mode: string;
}

/**
 * Makes a deployment: keys, certificates, credentials, and the file that names them. Returns the first API key, which nobody can read
 * again. @throws StartError when there is something already, PlatformError when openssl is missing
 */
export function initDeployment(options: InitOptions): { config: string; apiKey: string } {
  const directory = resolve(options.directory);
  const files = filesOf(directory);
  for (const file of [files.config, files.credentials, files.dispatcherKeys, files.workerKeys, files.authority.key]) {
    if (existsSync(file)) {
      throw new StartError(
        `${file} is there already: nothing was changed. Name another directory, or see \`mpcsfaas rotate\`.`,
      );
    }
  }
  const now = new Date();
  const authority = newAuthority(AUTHORITY_DAYS);
  const server = newServerCertificate(authority, serverNames(options.host), SERVER_DAYS);
  const credentials = newCredentials(now);
  const serverKey: DispatcherKey = { port: options.dispatcherPort, ...newCurveKeys(), created: now.toISOString() };
  const { key: apiKey, record } = newApiKey({ name: 'first key', tenant: 'default', scopes: ['admin'] }, now.getTime());

  makeSecretFolder(directory);
  makeSecretFolder(join(directory, 'tls'));
  writePair(authority, files.authority.certificate, files.authority.key);
  writePair(server, files.server.certificate, files.server.key);
  writeCredentials(files.credentials, credentials);
  writeKeys(files.dispatcherKeys, [serverKey]);
  const local = newWorker(LOCAL_WORKER, LOCAL_DAYS, now);
  writeKeys(files.workerKeys, [local.entry]);
  const url = `tcp://127.0.0.1:${options.dispatcherPort}`;
  const token = writeWorkerToken({
    ...local.secret,
    mode: workerMode(options.mode),
    url,
    serverKey: serverKey.publicKey,
  });
  writeSecretFile(files.localToken, `${token}\n`);
  const text = configText(options, { credentials, firstKey: JSON.stringify(record) });
  // The last: without it there is no deployment.
  writeSecretFile(files.config, text);
  return { config: files.config, apiKey };
}

/** A key for a worker, as the list has it and as its token has it. @throws StartError when the name is none */
export function newWorker(
  name: string,
  days: number,
  now: Date,
): { entry: WorkerKey; secret: { name: string; publicKey: string; secretKey: string; expires: string } } {
  if (!WORKER_NAME.test(name)) {
    throw new StartError(
      `A worker's name has up to 63 letters, digits, "_" and "-", and begins with a letter or digit; not ${name}.`,
    );
  }
  const { publicKey, secretKey } = newCurveKeys();
  const expires = new Date(now.getTime() + days * DAY_MS).toISOString();
  return {
    entry: { name, publicKey, created: now.toISOString(), expires },
    secret: { name, publicKey, secretKey, expires },
  };
}

/** Gives variables of the file other values, and leaves all else as it is, what people have written included. */
export function setVariables(file: string, variables: Readonly<Record<string, string>>): void {
  const rest = new Map(Object.entries(variables));
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => {
      const name = /^([A-Z_]+)=/.exec(line)?.[1] ?? '';
      const value = rest.get(name);
      rest.delete(name);
      return value === undefined ? line : `${name}=${value}`;
    });
  const added = [...rest].map(([name, value]) => `${name}=${value}`);
  writeSecretFile(file, [...lines.join('\n').trimEnd().split('\n'), ...added, ''].join('\n'));
}

export const serverNames = (host: string | undefined): string[] => [
  ...new Set(['localhost', '127.0.0.1', '::1', hostname(), ...(host === undefined ? [] : [host])]),
];

export const readPair = (paths: PairPaths): Pair => ({
  certificate: readFileSync(paths.certificate, 'utf8'),
  key: readFileSync(paths.key, 'utf8'),
});

export const workerMode = (mode: string): 'push' | 'pull' => (mode === 'pull' ? 'pull' : 'push');

function configText(
  { host, apiPort, dispatcherPort, mode }: InitOptions,
  made: { credentials: Credentials; firstKey: string },
): string {
  const listen = host === undefined ? '127.0.0.1' : '0.0.0.0';
  const lines = (variables: Record<string, string>): string =>
    Object.entries(variables)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('');
  return `# A deployment of MPCSFaaS, made by \`mpcsfaas init\`. Everything in this folder is secret.
# Start it with: mpcsfaas up --config THIS_FILE. Any variable of bus/config.ts can be set here; ./ is this folder.

${lines({ API_HOST: listen, API_PORT: String(apiPort), API_KEYS: 'required' })}
# Where the dispatcher listens, and how workers reach it.
${lines({ MODE: mode, DISPATCHER_HOST: listen, DISPATCHER_PORT: String(dispatcherPort) })}\
${lines({ DISPATCHER_URL: `tcp://${host ?? '127.0.0.1'}:${dispatcherPort}` })}\
${lines({ DISPATCHER_KEYS: './dispatcher-keys.json', WORKER_KEYS: './worker-keys.json' })}
DATA_DIR=./data
# The users of the Redis and NATS that are started here, and their certificate where those are reached from elsewhere.
${lines({ CREDENTIALS: './credentials.json', TLS_CERT: './tls/server.crt', TLS_KEY: './tls/server.key' })}\
${lines({ REDIS_CA: './tls/ca.crt', NATS_CA: './tls/ca.crt' })}
# Each actor takes its own: on a machine with only some of them leave the others' lines away.
${lines(roleVariables(made.credentials))}
# The workers that \`mpcsfaas up\` starts here. Others: mpcsfaas worker-token NAME.
WORKER_TOKEN_FILE=./local-worker.token

# What is kept of the first API key (not the key): the API takes it into Redis when it is not there.
FIRST_API_KEY='${made.firstKey}'
`;
}
