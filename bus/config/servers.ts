import { type Environment, oneOf, url } from './values.js';

export const FSYNC_POLICIES = ['always', 'everysec', 'no'] as const;
/** How often Redis syncs its append-only file to the disk; the table in ARCHITECTURE.md says what each may lose. */
export type FsyncPolicy = (typeof FSYNC_POLICIES)[number];

/** Where Redis and NATS are, and how a Redis of our own is to be. */
export interface ServersConfig {
  /** `REDIS_URL`: default redis://127.0.0.1:6379; unix:///path/of/redis.sock for a socket on this machine. */
  readonly redisUrl: string;
  /** `NATS_URL`: default nats://127.0.0.1:4222; several servers of one cluster are separated by commas. */
  readonly natsUrl: string;
  /** `REDIS_FSYNC`: of a Redis that is started here. Default everysec. */
  readonly redisFsync: FsyncPolicy;
}

export function parseServers(env: Environment): ServersConfig {
  return {
    redisUrl: url(env, 'REDIS_URL', 'redis://127.0.0.1:6379', /^(rediss?:\/\/|unix:\/\/\/)[^\s]+$/),
    natsUrl: url(env, 'NATS_URL', 'nats://127.0.0.1:4222', /^(nats|tls):\/\/[^\s,]+(,(nats|tls):\/\/[^\s,]+)*$/),
    redisFsync: oneOf(env, 'REDIS_FSYNC', FSYNC_POLICIES, 'everysec'),
  };
}
