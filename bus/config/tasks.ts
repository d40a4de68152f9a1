import { type Environment, integer } from './values.js';

/** How tasks are kept and tried again. */
export interface TasksConfig {
  /** `MAX_ATTEMPTS`: starts of one task before an infrastructure failure is its end. Default 3. */
  readonly maxAttempts: number;
  /** `SHARDS`: number of Redis hash-tag shards; the same for all actors of a platform. Default 1. */
  readonly shards: number;
  /** `RESULT_TTL_SECONDS`: how long an ended task can be read. Default 86400, a day. */
  readonly resultTtlSeconds: number;
}

export function parseTasks(env: Environment): TasksConfig {
  return {
    maxAttempts: integer(env, 'MAX_ATTEMPTS', 3, 1, 1000),
    shards: integer(env, 'SHARDS', 1, 1, 1024),
    resultTtlSeconds: integer(env, 'RESULT_TTL_SECONDS', 86_400, 1, 10 * 365 * 86_400),
  };
}
