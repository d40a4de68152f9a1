import { type Environment, url } from './values.js';

/** Where Redis and NATS are. */
export interface ServersConfig {
  /** `REDIS_URL`: default redis://127.0.0.1:6379; unix:///path/of/redis.sock for a socket on this machine. */
  readonly redisUrl: string;
  /** `NATS_URL`: default nats://127.0.0.1:4222; several servers of one cluster are separated by commas. */
  readonly natsUrl: string;
}

export function parseServers(env: Environment): ServersConfig {
  return {
    redisUrl: url(env, 'REDIS_URL', 'redis://127.0.0.1:6379', /^(rediss?:\/\/|unix:\/\/\/)[^\s]+$/),
    natsUrl: url(env, 'NATS_URL', 'nats://127.0.0.1:4222', /^(nats|tls):\/\/[^\s,]+(,(nats|tls):\/\/[^\s,]+)*$/),
  };
}
