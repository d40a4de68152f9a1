import { availableParallelism } from 'node:os';
import { delimiter, resolve } from 'node:path';
import { PlatformError } from './errors.js';
import { LABEL_PATTERN } from './requirement.js';

/** The variables a process was started with; only entry points (`cli/`) read them, and hand them over here. */
export type Environment = Readonly<Record<string, string | undefined>>;

export const MODES = ['push', 'pull', 'local'] as const;
/** Who decides which worker runs a task: the dispatcher (`push`), the worker that asks (`pull`), or there are none (`local`). */
export type Mode = (typeof MODES)[number];

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['pretty', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Everything that can be set from outside, parsed once at the start of a process. The variable's name is in each doc. */
export interface Config {
  /** `API_HOST`: address the API listens on. Default 127.0.0.1: the API runs code, so the network is opted into. */
  readonly apiHost: string;
  /** `API_PORT`: default 8000; 0 takes a free one. */
  readonly apiPort: number;
  /** `REDIS_URL`: default redis://127.0.0.1:6379; unix:///path/of/redis.sock for a socket on this machine. */
  readonly redisUrl: string;
  /** `NATS_URL`: default nats://127.0.0.1:4222; several servers of one cluster are separated by commas. */
  readonly natsUrl: string;
  /** `DATA_DIR`: absolute; Redis' append-only file, logs, lock. Default `.platform` in the working directory. */
  readonly dataDir: string;
  /** `LOG_LEVEL`: default info, the level of transitions. */
  readonly logLevel: LogLevel;
  /** `LOG_FORMAT`: default pretty (for people); json is one object per line. */
  readonly logFormat: LogFormat;
  /** `MODE`: default push. */
  readonly mode: Mode;
  /** `WORKERS`: worker processes that `up` starts. Default 1. */
  readonly workers: number;
  /** `SLOTS`: Python processes per worker, so tasks it runs at once. Default: the number of cores. */
  readonly slots: number;
  /** `PYTHON`: command or path of the Python (with dill) that runs functions. Default python3. */
  readonly python: string;
  /** `WORKER_LABELS`: what the worker is fit for, separated by commas; tasks can ask for labels. Default none. */
  readonly workerLabels: readonly string[];
  /** `PYTHONPATH`: absolute directories that functions may import from, separated by colons. Default none. */
  readonly pythonPath: readonly string[];
  /** `DISPATCHER_HOST`: address the dispatcher binds for workers. Default 127.0.0.1; 0.0.0.0 admits other machines. */
  readonly dispatcherHost: string;
  /** `DISPATCHER_PORT`: default 5555; 0 takes a free one. */
  readonly dispatcherPort: number;
  /** `DISPATCHER_URL`: where a worker finds its dispatcher. Default tcp://127.0.0.1 with `dispatcherPort`. */
  readonly dispatcherUrl: string;
  /** `LEASE_MS`: how long a claimed task stays its worker's without a renewal. Default 15000. */
  readonly leaseMs: number;
  /** `HEARTBEAT_MS`: interval of workers' and components' heartbeats. Default 1000. */
  readonly heartbeatMs: number;
  /** `SUSPECT_AFTER_MISSED`: heartbeats missed in a row until a worker is suspect. Default 2. */
  readonly suspectAfterMissed: number;
  /** `LOST_AFTER_MISSED`: heartbeats missed in a row until a worker is lost. Default 3, more than `suspectAfterMissed`. */
  readonly lostAfterMissed: number;
  /** `REAP_MS`: interval at which the monitor looks for expired leases. Default 1000. */
  readonly reapMs: number;
  /** `POLL_MS`: interval at which an idle dispatcher looks into Redis though no nudge came. Default 100. */
  readonly pollMs: number;
  /** `MAX_ATTEMPTS`: starts of one task before an infrastructure failure is its end. Default 3. */
  readonly maxAttempts: number;
  /** `SHARDS`: number of Redis hash-tag shards; the same for all actors of a platform. Default 1. */
  readonly shards: number;
  /** `RESULT_TTL_SECONDS`: how long an ended task can be read. Default 86400, a day. */
  readonly resultTtlSeconds: number;
  /** `MAX_BODY_BYTES`: largest HTTP request body, and so the largest function. Default 64 MiB. */
  readonly maxBodyBytes: number;
  /** `REQUEST_TIMEOUT_MS`: how long an HTTP request may take to arrive whole, headers and body. Default 60000. */
  readonly requestTimeoutMs: number;
  /** `MAX_RESULT_BYTES`: largest pickled result of a task. Default 64 MiB. */
  readonly maxResultBytes: number;
  /** `MAX_OUTPUT_BYTES`: how much of what a task prints is kept. Default 1 MiB. */
  readonly maxOutputBytes: number;
  /** `MAX_MEMORY`: address space of a Python process, such as 512M or 2G, beyond which its function fails. Default 0: no limit. */
  readonly maxMemoryBytes: number;
  /** `SHUTDOWN_GRACE_MS`: how long an actor may drain before what it runs is ended. Default 10000. */
  readonly shutdownGraceMs: number;
}

/** A variable holds what it may not. The message names variable, value and what is allowed; it is meant to be shown as is. */
export class ConfigError extends PlatformError {
  constructor(
    readonly variable: string,
    readonly value: string,
    readonly allowed: string,
  ) {
    super('CONFIG_INVALID', `${variable}=${value} is not valid: it must be ${allowed}.`);
    this.name = 'ConfigError';
  }
}

const MEBIBYTE = 1024 * 1024;
/** Together with a few messages it must fit into one frame of the worker wire (192 MiB, `bus/zeromq/wire.ts`). */
const MAX_PICKLE_BYTES = 128 * MEBIBYTE;
const DAY_MS = 86_400_000;
/** With less Python and dill hardly start. */
const MIN_MEMORY_BYTES = 64 * MEBIBYTE;
const MAX_WORKER_LABELS = 64;

/**
 * Reads a configuration from variables; an empty one counts as not set, so that `make VAR=` works.
 * @throws ConfigError at the first variable that is wrong.
 */
export function parseConfig(env: Environment): Config {
  const dispatcherPort = port(env, 'DISPATCHER_PORT', 5555);
  const suspectAfterMissed = integer(env, 'SUSPECT_AFTER_MISSED', 2, 1, 1000);
  return {
    apiHost: text(env, 'API_HOST', '127.0.0.1'),
    apiPort: port(env, 'API_PORT', 8000),
    redisUrl: url(env, 'REDIS_URL', 'redis://127.0.0.1:6379', /^(rediss?:\/\/|unix:\/\/\/)[^\s]+$/),
    natsUrl: url(env, 'NATS_URL', 'nats://127.0.0.1:4222', /^(nats|tls):\/\/[^\s,]+(,(nats|tls):\/\/[^\s,]+)*$/),
    dataDir: resolve(text(env, 'DATA_DIR', '.platform')),
    logLevel: oneOf(env, 'LOG_LEVEL', LOG_LEVELS, 'info'),
    logFormat: oneOf(env, 'LOG_FORMAT', LOG_FORMATS, 'pretty'),
    mode: oneOf(env, 'MODE', MODES, 'push'),
    workers: integer(env, 'WORKERS', 1, 0, 1000),
    slots: integer(env, 'SLOTS', availableParallelism(), 1, 1024),
    python: program(text(env, 'PYTHON', 'python3')),
    workerLabels: labels(env, 'WORKER_LABELS'),
    pythonPath: text(env, 'PYTHONPATH', '')
      .split(delimiter)
      .filter((directory) => directory !== '')
      .map((directory) => resolve(directory)),
    dispatcherHost: text(env, 'DISPATCHER_HOST', '127.0.0.1'),
    dispatcherPort,
    dispatcherUrl: url(env, 'DISPATCHER_URL', `tcp://127.0.0.1:${dispatcherPort}`, /^tcp:\/\/[^\s/]+:\d{1,5}$/),
    leaseMs: integer(env, 'LEASE_MS', 15_000, 100, DAY_MS),
    heartbeatMs: integer(env, 'HEARTBEAT_MS', 1000, 10, DAY_MS),
    suspectAfterMissed,
    lostAfterMissed: integer(env, 'LOST_AFTER_MISSED', suspectAfterMissed + 1, suspectAfterMissed + 1, 1001),
    reapMs: integer(env, 'REAP_MS', 1000, 10, DAY_MS),
    pollMs: integer(env, 'POLL_MS', 100, 1, 60_000),
    maxAttempts: integer(env, 'MAX_ATTEMPTS', 3, 1, 1000),
    shards: integer(env, 'SHARDS', 1, 1, 1024),
    resultTtlSeconds: integer(env, 'RESULT_TTL_SECONDS', 86_400, 1, 10 * 365 * 86_400),
    maxBodyBytes: integer(env, 'MAX_BODY_BYTES', 64 * MEBIBYTE, 1024, MAX_PICKLE_BYTES),
    requestTimeoutMs: integer(env, 'REQUEST_TIMEOUT_MS', 60_000, 100, DAY_MS),
    maxResultBytes: integer(env, 'MAX_RESULT_BYTES', 64 * MEBIBYTE, 1024, MAX_PICKLE_BYTES),
    maxOutputBytes: integer(env, 'MAX_OUTPUT_BYTES', MEBIBYTE, 0, 64 * MEBIBYTE),
    maxMemoryBytes: size(env, 'MAX_MEMORY', 0, MIN_MEMORY_BYTES),
    shutdownGraceMs: integer(env, 'SHUTDOWN_GRACE_MS', 10_000, 0, DAY_MS),
  };
}

function text(env: Environment, variable: string, fallback: string): string {
  const value = env[variable];
  return value === undefined || value === '' ? fallback : value;
}

function integer(env: Environment, variable: string, fallback: number, min: number, max: number): number {
  const value = text(env, variable, String(fallback));
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < min || number > max) {
    throw new ConfigError(variable, value, `a whole number from ${min} to ${max}`);
  }
  return number;
}

/** Bytes, or K, M, G of them; 0, or at least `min`. */
function size(env: Environment, variable: string, fallback: number, min: number): number {
  const value = text(env, variable, String(fallback));
  const [, digits, unit = ''] = /^(\d{1,12})([KMG]?)$/i.exec(value) ?? [];
  const bytes = Number(digits) * 1024 ** ' KMG'.indexOf(unit.toUpperCase() || ' ');
  if (digits === undefined || (bytes !== 0 && (bytes < min || bytes > Number.MAX_SAFE_INTEGER))) {
    throw new ConfigError(variable, value, `0 for no limit, or a size from ${min / MEBIBYTE}M, such as 512M or 2G`);
  }
  return bytes;
}

function port(env: Environment, variable: string, fallback: number): number {
  return integer(env, variable, fallback, 0, 65_535);
}

function oneOf<T extends string>(env: Environment, variable: string, allowed: readonly T[], fallback: T): T {
  const value = text(env, variable, fallback);
  const found = allowed.find((one) => one === value);
  if (found === undefined) {
    throw new ConfigError(variable, value, `one of ${allowed.join(', ')}`);
  }
  return found;
}

function labels(env: Environment, variable: string): string[] {
  const given = text(env, variable, '')
    .split(',')
    .filter((label) => label !== '');
  const wrong = given.find((label) => !new RegExp(LABEL_PATTERN).test(label));
  if (wrong !== undefined || given.length > MAX_WORKER_LABELS) {
    const allowed = `up to ${MAX_WORKER_LABELS} labels separated by commas, each of up to 64 letters, digits and "_.:-"`;
    throw new ConfigError(variable, wrong ?? `${given.length} labels`, allowed);
  }
  return [...new Set(given)].sort();
}

/** A path is meant from here, wherever it is run from; a name is looked up. */
const program = (value: string): string => (value.includes('/') ? resolve(value) : value);

function url(env: Environment, variable: string, example: string, form: RegExp): string {
  const value = text(env, variable, example);
  if (!form.test(value)) {
    throw new ConfigError(variable, value, `a URL such as ${example}`);
  }
  return value;
}
