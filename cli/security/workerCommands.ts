import type { Config } from '../../bus/config.js';
import { integer } from '../../bus/config/values.js';
import { StartError } from '../startError.js';
import { newWorker, workerMode } from './deployment.js';
import { readDispatcherKeys, readWorkerKeys, writeKeys } from './keyFiles.js';
import { writeWorkerToken } from './workerToken.js';

/** `mpcsfaas worker-token`: the token alone on stdout. A name that has one gets another; the first is good as long as it was. */
export function workerToken(config: Config, name: string, days: string): void {
  const { dispatcherKeys, workerKeys } = keyFiles(config);
  const [server] = readDispatcherKeys(dispatcherKeys);
  const now = new Date();
  const { entry, secret } = newWorker(name, integer({ days }, 'days', 0, 1, 3_650), now);
  const url = new URL(config.dispatcherUrl);
  const token = writeWorkerToken({
    ...secret,
    mode: workerMode(config.mode),
    url: `tcp://${url.hostname}:${server?.port ?? url.port}`,
    serverKey: server?.publicKey ?? '',
  });
  writeKeys(workerKeys, [...readWorkerKeys(workerKeys), entry]);
  process.stderr.write(
    `"${name}" may join ${config.dispatcherUrl} until ${entry.expires}. Shown this once; on its machine:\n`,
  );
  process.stderr.write('  WORKER_TOKEN=... mpcsfaas worker\n');
  process.stdout.write(`${token}\n`);
}

/** `mpcsfaas worker-revoke`: dispatchers that see the file notice it within half a second. @throws StartError for an unknown name */
export function revokeWorker(config: Config, name: string): void {
  const { workerKeys } = keyFiles(config);
  const keys = readWorkerKeys(workerKeys);
  const valid = keys.filter((key) => key.name === name && key.revoked === undefined);
  if (valid.length === 0) {
    const names = [...new Set(keys.filter(({ revoked }) => revoked === undefined).map((key) => key.name))];
    throw new StartError(`No worker "${name}" may join; those who may: ${names.join(', ') || 'none'}.`);
  }
  const revoked = new Date().toISOString();
  writeKeys(
    workerKeys,
    keys.map((key) => (valid.includes(key) ? { ...key, revoked } : key)),
  );
  process.stderr.write(`"${name}" is shut out: ${valid.length} key(s) revoked. What it ran is run elsewhere.\n`);
}

function keyFiles({ dispatcherKeys, workerKeys }: Config): { dispatcherKeys: string; workerKeys: string } {
  if (dispatcherKeys !== undefined && workerKeys !== undefined) return { dispatcherKeys, workerKeys };
  throw new StartError('Which deployment? Name its file with --config or MPCSFAAS_CONFIG; `mpcsfaas init` makes one.');
}
