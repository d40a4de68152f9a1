import { resolve } from 'node:path';
import { DAY_MS, type Environment, integer, oneOf, text } from './values.js';

export const MODES = ['push', 'pull', 'local'] as const;
/** Who decides which worker runs a task: the dispatcher (`push`), the worker that asks (`pull`), or there are none (`local`). */
export type Mode = (typeof MODES)[number];

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const LOG_FORMATS = ['pretty', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What every process of the platform needs. */
export interface ProcessConfig {
  /** `DATA_DIR`: absolute; Redis' append-only file, logs, lock. Default `.platform` in the working directory. */
  readonly dataDir: string;
  /** `LOG_LEVEL`: default info, the level of transitions. */
  readonly logLevel: LogLevel;
  /** `LOG_FORMAT`: pretty (for people), or json, one object per line. Default: pretty in a terminal and from `up`, else json. */
  readonly logFormat: LogFormat | undefined;
  /** `MODE`: default push. */
  readonly mode: Mode;
  /** `SHUTDOWN_GRACE_MS`: how long an actor may drain before what it runs is ended. Default 10000. */
  readonly shutdownGraceMs: number;
}

export function parseProcess(env: Environment): ProcessConfig {
  return {
    dataDir: resolve(text(env, 'DATA_DIR', '.platform')),
    logLevel: oneOf(env, 'LOG_LEVEL', LOG_LEVELS, 'info'),
    logFormat: text(env, 'LOG_FORMAT', '') === '' ? undefined : oneOf(env, 'LOG_FORMAT', LOG_FORMATS, 'pretty'),
    mode: oneOf(env, 'MODE', MODES, 'push'),
    shutdownGraceMs: integer(env, 'SHUTDOWN_GRACE_MS', 10_000, 0, DAY_MS),
  };
}
