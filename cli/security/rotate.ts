import { dirname } from 'node:path';
import { type Config, ConfigError } from '../../bus/config.js';
import { newCurveKeys } from '../../bus/zeromq/security/curveKeys.js';
import { StartError } from '../startError.js';
import { newServerCertificate, writePair } from './certificates.js';
import { addSecrets, readCredentials, roleVariables, writeCredentials } from './credentials.js';
import {
  filesOf,
  LOCAL_WORKER,
  newWorker,
  readPair,
  SERVER_DAYS,
  serverNames,
  setVariables,
  workerMode,
} from './deployment.js';
import { type DispatcherKey, readDispatcherKeys, readWorkerKeys, writeKeys } from './keyFiles.js';
import { writeSecretFile } from './secretFile.js';
import { writeWorkerToken } from './workerToken.js';

const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const LOCAL_DAYS = 3_650;

/**
 * `mpcsfaas rotate`: a new key for the dispatcher, new passwords and nkeys, a new certificate and a new token for the workers of `up`.
 * What was is good for the overlap, so that nobody notices: those who run follow the files. Tokens of other machines name the old key of
 * the dispatcher, and have to be made anew within the overlap. @throws StartError while the overlap before is not over
 */
export function rotate(config: Config, overlap: string): void {
  const { configFile } = config;
  if (configFile === undefined) {
    throw new StartError(
      'Which deployment? Name its file with --config or MPCSFAAS_CONFIG; `mpcsfaas init` makes one.',
    );
  }
  const files = filesOf(dirname(configFile));
  const now = new Date();
  const retires = new Date(now.getTime() + durationMs(overlap));
  const keys = keysInUse(readDispatcherKeys(files.dispatcherKeys), now);
  const key: DispatcherKey = {
    port: otherPort(config.dispatcherPort, keys),
    ...newCurveKeys(),
    created: now.toISOString(),
  };

  // Servers before those who speak to them: a secret is known to the server when it is used for the first time.
  const credentials = addSecrets(readCredentials(files.credentials), now, retires);
  writeCredentials(files.credentials, credentials);
  const host = new URL(config.dispatcherUrl).hostname;
  writePair(
    newServerCertificate(readPair(files.authority), serverNames(host), SERVER_DAYS),
    files.server.certificate,
    files.server.key,
  );
  const retiring = keys.map((one) => ({ ...one, retires: one.retires ?? retires.toISOString() }));
  const local = newWorker(LOCAL_WORKER, LOCAL_DAYS, now);
  const workers = readWorkerKeys(files.workerKeys).map((one) =>
    one.name === LOCAL_WORKER && Date.parse(one.expires) > retires.getTime()
      ? { ...one, expires: retires.toISOString() }
      : one,
  );
  writeKeys(files.workerKeys, [...workers, local.entry]);
  writeKeys(files.dispatcherKeys, [key, ...retiring]);
  const url = `tcp://127.0.0.1:${key.port}`;
  const token = writeWorkerToken({ ...local.secret, mode: workerMode(config.mode), url, serverKey: key.publicKey });
  writeSecretFile(files.localToken, `${token}\n`);
  setVariables(files.config, roleVariables(credentials));
  tell(
    files.config,
    retires,
    workers.filter(({ name, revoked }) => name !== LOCAL_WORKER && revoked === undefined).map(({ name }) => name),
  );
}

function tell(config: string, retires: Date, names: readonly string[]): void {
  const note = (line: string): unknown => process.stderr.write(`${line}\n`);
  note(`Made new keys, credentials and a certificate. The old ones are good until ${retires.toISOString()}.`);
  if (names.length === 0) return;
  note('Until then give these workers new tokens (a running worker takes a new --token-file by itself):');
  for (const name of new Set(names)) note(`  mpcsfaas worker-token ${name} --config ${config}`);
}

const keysInUse = (keys: readonly DispatcherKey[], now: Date): DispatcherKey[] =>
  keys.filter(({ retires }) => retires === undefined || Date.parse(retires) > now.getTime());

/** Two ports take turns: an endpoint has one key. */
function otherPort(first: number, keys: readonly DispatcherKey[]): number {
  const free = [first, first + 1].find((port) => keys.every((key) => key.port !== port));
  if (free !== undefined) return free;
  const retires = keys.find((key) => key.retires !== undefined)?.retires ?? '';
  throw new StartError(
    `The keys before the present ones are good until ${retires}: nothing was changed. Rotate again after that.`,
  );
}

function durationMs(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit];
  if (digits === undefined || unitMs === undefined)
    throw new ConfigError('--overlap', text, 'a duration such as 12h or 7d');
  return Number(digits) * unitMs;
}
