import { resolve } from 'node:path';
import { ConfigError, type Environment, text } from './values.js';

/** How this process proves who it is to others, and how it knows them. `mpcsfaas init` makes all of it. */
export interface SecurityConfig {
  /** `INSECURE`: 1 opens the platform to the network without what protects it, with a warning. Default 0. */
  readonly insecure: boolean;
  /** `DISPATCHER_KEYS`: absolute path of the dispatcher's CURVE keys. Without it the worker wire is plain. */
  readonly dispatcherKeys: string | undefined;
  /** `WORKER_KEYS`: absolute path of the list of workers that a dispatcher with keys lets in. */
  readonly workerKeys: string | undefined;
  /** `WORKER_TOKEN`: what `mpcsfaas worker-token` has made: who this worker is, and which dispatcher it trusts. */
  readonly workerToken: string | undefined;
  /** `WORKER_TOKEN_FILE`: absolute path of a file with such a token, read at each connection: it can be replaced while the worker runs. */
  readonly workerTokenFile: string | undefined;
  /** `MPCSFAAS_CONFIG`: absolute path of the deployment's file, whose credentials are read again at each connection. */
  readonly configFile: string | undefined;
  /** `FIRST_API_KEY`: the record of an API key, as JSON, which the API takes into Redis when that does not know it. */
  readonly firstApiKey: string | undefined;
  /** `REDIS_USER` and `REDIS_PASSWORD`, or `REDIS_PASSWORD_API`, `_DISPATCHER`, `_MONITOR`, `_ADMIN`: each actor takes its own. */
  readonly redisUser: string | undefined;
  readonly redisPassword: string | undefined;
  /** `REDIS_CA`: certificate of whoever signs for a Redis with TLS (`rediss://`). Default: the authorities of the system. */
  readonly redisCa: string | undefined;
  /** `REDIS_CERT`, `REDIS_KEY`: what to show to a Redis that wants to see a certificate. */
  readonly redisCert: string | undefined;
  readonly redisKey: string | undefined;
  /** `NATS_NKEY`, or `NATS_NKEY_API`, `_DISPATCHER`, `_MONITOR`: the seed of this actor's nkey. */
  readonly natsNkey: string | undefined;
  /** `NATS_NKEY_FILE`: a file with such a seed. */
  readonly natsNkeyFile: string | undefined;
  /** `NATS_CREDS`: a credentials file (JWT and seed), as nsc makes them. */
  readonly natsCreds: string | undefined;
  /** `NATS_TOKEN`: a token, for a server that knows no other way. */
  readonly natsToken: string | undefined;
  /** `NATS_CA`: certificate of whoever signs for a NATS with TLS (`tls://`). Default: the authorities of the system. */
  readonly natsCa: string | undefined;
  /** `CREDENTIALS`: absolute path of the users of a Redis and NATS that are started here. Without it everybody may do everything there. */
  readonly credentials: string | undefined;
  /** `TLS_CERT`, `TLS_KEY`: what the servers that are started here show, beyond this machine. */
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
}

/** Who has credentials of its own; `admin` is for people. */
export const ROLES = ['api', 'dispatcher', 'monitor', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export function parseSecurity(env: Environment): SecurityConfig {
  return {
    insecure: flag(env, 'INSECURE'),
    dispatcherKeys: path(env, 'DISPATCHER_KEYS'),
    workerKeys: path(env, 'WORKER_KEYS'),
    workerToken: optional(env, 'WORKER_TOKEN'),
    workerTokenFile: path(env, 'WORKER_TOKEN_FILE'),
    configFile: path(env, 'MPCSFAAS_CONFIG'),
    firstApiKey: optional(env, 'FIRST_API_KEY'),
    redisUser: optional(env, 'REDIS_USER'),
    redisPassword: optional(env, 'REDIS_PASSWORD'),
    redisCa: path(env, 'REDIS_CA'),
    redisCert: path(env, 'REDIS_CERT'),
    redisKey: path(env, 'REDIS_KEY'),
    natsNkey: optional(env, 'NATS_NKEY'),
    natsNkeyFile: path(env, 'NATS_NKEY_FILE'),
    natsCreds: path(env, 'NATS_CREDS'),
    natsToken: optional(env, 'NATS_TOKEN'),
    natsCa: path(env, 'NATS_CA'),
    credentials: path(env, 'CREDENTIALS'),
    tlsCert: path(env, 'TLS_CERT'),
    tlsKey: path(env, 'TLS_KEY'),
  };
}

function optional(env: Environment, variable: string): string | undefined {
  const value = text(env, variable, '');
  return value === '' ? undefined : value;
}

function path(env: Environment, variable: string): string | undefined {
  const value = optional(env, variable);
  return value === undefined ? undefined : resolve(value);
}

function flag(env: Environment, variable: string): boolean {
  const value = text(env, variable, '0');
  if (!['0', '1', 'false', 'true'].includes(value)) throw new ConfigError(variable, value, '0 or 1');
  return value === '1' || value === 'true';
}
