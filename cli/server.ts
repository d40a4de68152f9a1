import { join } from 'node:path';
import type { Config, Environment } from '../bus/config.js';
import { lockDirectory } from './directoryLock.js';
import { startNats, startRedis } from './servers.js';
import { requireSafePosture } from './security/posture.js';
import { serverSecurity } from './security/serverSecurity.js';
import { StartError } from './startError.js';
import { onStopSignals } from './stopSignals.js';

/** Runs redis-server alone, in the foreground, on the port of REDIS_URL. @throws StartError, PlatformError */
export function runRedis(config: Config, env: Environment): Promise<void> {
  return runServer('redis', 'REDIS_URL', config.redisUrl, config, env);
}

/** Runs nats-server alone, in the foreground, on the port of NATS_URL. @throws StartError, PlatformError */
export function runNats(config: Config, env: Environment): Promise<void> {
  return runServer('nats', 'NATS_URL', config.natsUrl, config, env);
}

async function runServer(
  name: 'redis' | 'nats',
  variable: 'REDIS_URL' | 'NATS_URL',
  url: string,
  config: Config,
  env: Environment,
): Promise<void> {
  const { hostname, port } = new URL(url);
  if (port === '') throw new StartError(`${variable}=${url} names no port.`);
  requireSafePosture(name, config);
  process.title = `mpcsfaas ${name} ${port}`;
  const directory = join(config.dataDir, name);
  const unlock = await lockDirectory(directory, `another ${name}-server`);
  const giveUp = new AbortController();
  const release = onStopSignals(
    () => {
      giveUp.abort();
    },
    () => process.exit(1),
  );
  try {
    const server = await (name === 'redis' ? startRedis : startNats)({
      directory,
      port: Number(port),
      fsync: config.redisFsync,
      env,
      signal: giveUp.signal,
      ...serverSecurity(config, hostname.replace(/^\[(.*)\]$/, '$1')),
      onError: (error) => process.stderr.write(`mpcsfaas ${name}: ${String(error)}\n`),
    });
    giveUp.signal.addEventListener('abort', () => void server.stop());
    const how = await server.exited;
    if (!giveUp.signal.aborted) throw new StartError(`${name}-server ended by itself (${how}).`);
  } finally {
    release();
    await unlock();
  }
}
