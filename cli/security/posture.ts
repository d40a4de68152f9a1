import { isIP } from 'node:net';
import type { Logger } from 'pino';
import type { Config } from '../../bus/config.js';
import { every, systemClock } from '../../actors/clock.js';
import { StartError } from '../startError.js';

/** Who binds something, or on whose behalf: `up` answers for all. */
export type Binder = 'up' | 'api' | 'dispatcher' | 'redis' | 'nats';

/** How often an open platform says so. */
const REMIND_MS = 10 * 60_000;

/** Whether only this machine can reach a listener at this address. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (bare === 'localhost' || bare === '::1') return true;
  return (isIP(bare) === 4 && bare.startsWith('127.')) || bare.startsWith('::ffff:127.');
}

/**
 * What is open to the network and should be protected: empty when everything listens on loopback or has what it needs. Each is a
 * sentence that names the variable.
 */
export function exposure(binder: Binder, config: Config): string[] {
  const elsewhere = Object.entries(boundBy(binder, config)).filter(([, host]) => !isLoopback(host));
  if (elsewhere.length === 0) return [];
  const opened = new Set(elsewhere.map(([what]) => what));
  const missing: string[] = [];
  if (opened.has('API_HOST') && !config.apiKeysRequired) missing.push('API keys (API_KEYS=required)');
  if (opened.has('DISPATCHER_HOST') && (!config.dispatcherKeys || !config.workerKeys)) {
    missing.push('CURVE on the worker wire (DISPATCHER_KEYS and WORKER_KEYS)');
  }
  if (binder !== 'nats' && !hasRedisCredentials(binder, config))
    missing.push('Redis credentials (REDIS_PASSWORD, or CREDENTIALS of a Redis of its own)');
  if (binder !== 'redis' && !hasNatsCredentials(binder, config))
    missing.push('NATS credentials (NATS_NKEY, NATS_CREDS or NATS_TOKEN, or CREDENTIALS of a NATS of its own)');
  if ((opened.has('REDIS_URL') || opened.has('NATS_URL')) && !(config.tlsCert && config.tlsKey))
    missing.push('TLS (TLS_CERT and TLS_KEY)');
  if (opened.has('REDIS_URL') && !config.redisUrl.startsWith('rediss:'))
    missing.push('a REDIS_URL that begins with rediss://');
  return missing;
}

/** @throws StartError when something would be open that is not protected, unless that is what was asked for. */
export function requireSafePosture(binder: Binder, config: Config): void {
  const missing = exposure(binder, config);
  if (missing.length === 0 || config.insecure) return;
  const where = Object.entries(boundBy(binder, config))
    .filter(([, host]) => !isLoopback(host))
    .map(([variable, host]) => `${variable}=${host}`);
  throw new StartError(
    `${where.join(' and ')} would be open to the network without:\n` +
      missing.map((one) => `  - ${one}\n`).join('') +
      'Make all of it with `mpcsfaas init` and start with `--config FILE`, or stay on 127.0.0.1. To go without, in a network where you trust everybody, say `--insecure` (INSECURE=1).',
  );
}

/** What an open platform says in its log and to whoever asks how it stands; undefined for one that is not open. */
export function insecurityWarning(binder: Binder, config: Config): string | undefined {
  const missing = exposure(binder, config);
  return missing.length === 0 ? undefined : `INSECURE: open to the network without ${missing.join(', ')}`;
}

/** Says so now and again and again. Returns how to stop. */
export function keepWarning(log: Logger, warning: string | undefined): () => void {
  if (warning === undefined) return () => undefined;
  log.warn(warning);
  return every(systemClock, REMIND_MS, () => log.warn(warning));
}

function boundBy(binder: Binder, { apiHost, dispatcherHost, mode, redisUrl, natsUrl }: Config): Record<string, string> {
  switch (binder) {
    case 'api':
      return { API_HOST: apiHost };
    case 'dispatcher':
      return mode === 'local' ? {} : { DISPATCHER_HOST: dispatcherHost };
    case 'redis':
      return { REDIS_URL: hostOf(redisUrl) };
    case 'nats':
      return { NATS_URL: hostOf(natsUrl) };
    case 'up':
      return { API_HOST: apiHost, ...(mode !== 'local' && { DISPATCHER_HOST: dispatcherHost }) };
    default:
      return binder satisfies never;
  }
}

const hostOf = (url: string): string => new URL(url).hostname;

function hasRedisCredentials(binder: Binder, config: Config): boolean {
  if (binder === 'redis' || binder === 'up') {
    if (config.credentials !== undefined) return true;
    if (binder === 'redis') return false;
  }
  return (
    config.redisPassword !== undefined || (URL.canParse(config.redisUrl) && new URL(config.redisUrl).password !== '')
  );
}

function hasNatsCredentials(binder: Binder, config: Config): boolean {
  if (binder === 'nats' || binder === 'up') {
    if (config.credentials !== undefined) return true;
    if (binder === 'nats') return false;
  }
  const { natsNkey, natsNkeyFile, natsCreds, natsToken, natsUrl } = config;
  const inUrl = natsUrl.split(',').every((url) => URL.canParse(url) && new URL(url).username !== '');
  return [natsNkey, natsNkeyFile, natsCreds, natsToken].some((one) => one !== undefined) || inUrl;
}
