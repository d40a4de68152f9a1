import { createHash } from 'node:crypto';

/**
 * Where things lie in Redis.
 *
 *     {q:N}:task:<task id>      hash     one task, see `taskRecord.ts`
 *     {q:N}:output:<task id>    string   what the task printed
 *     {q:N}:queue:high|normal|low  list  ids of queued tasks; pushed on the left, claimed on the right
 *     {q:N}:queue:<priority>:<requirement>  list  the same, of tasks that only some workers can run, see `requirement.ts`
 *     {q:N}:requirements        hash     requirement -> second of its last use; '' -> version, see `requirement.lua`
 *     {q:N}:delayed             zset     ids of delayed and retrying tasks, by due time (ms, Redis clock)
 *     {q:N}:leases              zset     ids of running tasks, by lease deadline (ms, Redis clock)
 *     {q:N}:epoch               hash     in which Redis run, and when, this shard was last reaped; for how long leases are not enforced
 *     {q:N}:blocked             zset     ids of blocked tasks, by when the monitor last looked at them (ms, Redis clock)
 *     {q:N}:unmet:<task id>     set      what a blocked task waits for
 *     {q:N}:dependents:<task id>  set    ids of blocked tasks that wait for this one
 *     {q:N}:recent              stream   ids of accepted tasks, an entry per batch: what lists are made from, see `taskIndex.ts`
 *     {q:N}:failures            stream   ids and failure types of failed and cancelled tasks, an entry per batch
 *     {q:N}:counts              hash     tasks that have ended: `completed`, and by failure type, `Cancelled` among them; never less, though tasks
 *                                        expire. `retrying`: tasks in `delayed` that are. `dead:1`, `:2`, `:3`: entries of cancelled tasks
 *                                        in the queues, by priority
 *     function:<function id>    hash     content-addressed, outside the shards: name, payload, registered, and origin, source, python where they are told
 *     runs:<function id>        hash     how many of its tasks completed and failed, their run times (us) together, and by bucket, see `functionRuns.ts`
 *     functions                 zset     ids of all functions, by registration time (ms)
 *     workers                   hash     worker name -> JSON of its last known state
 *     dispatchers               hash     dispatcher id -> JSON of its last known state
 *     group:<group id>          hash     ids of the tasks of a group, see `groupAppend.lua`
 *     idempotency:<key>         string   digest of a request and the seed of its ids
 *     api-keys                  hash     key id -> JSON of what is kept of an API key, see `apiKeys.ts`; '' -> version
 *     event-seal                string   key of the seal that control events carry, see `eventSeal.ts`
 *
 * All keys of a shard share the hash tag `{q:N}`, so that the scripts work on Redis Cluster. The task keys made inside a script
 * lie in the slot of the keys it declares.
 */
export const PRIORITIES = ['high', 'normal', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

export interface ShardKeys {
  index: number;
  taskPrefix: string;
  outputPrefix: string;
  queues: [high: string, normal: string, low: string];
  delayed: string;
  leases: string;
  blocked: string;
  epoch: string;
  requirements: string;
  recent: string;
  failures: string;
  counts: string;
}

export function shardKeys(index: number): ShardKeys {
  const tag = `{q:${index}}`;
  return {
    index,
    taskPrefix: `${tag}:task:`,
    outputPrefix: `${tag}:output:`,
    queues: [`${tag}:queue:high`, `${tag}:queue:normal`, `${tag}:queue:low`],
    delayed: `${tag}:delayed`,
    leases: `${tag}:leases`,
    blocked: `${tag}:blocked`,
    epoch: `${tag}:epoch`,
    requirements: `${tag}:requirements`,
    recent: `${tag}:recent`,
    failures: `${tag}:failures`,
    counts: `${tag}:counts`,
  };
}

/** The shard of a task: the first 32 bits of its random UUID are as good a hash as any. */
export function shardOf(taskId: string, shardCount: number): number {
  return shardCount === 1 ? 0 : Number.parseInt(taskId.slice(0, 8), 16) % shardCount;
}

export const functionKey = (functionId: string): string => `function:${functionId}`;
export const functionRunsKey = (functionId: string): string => `runs:${functionId}`;
export const FUNCTIONS_KEY = 'functions';
export const WORKERS_KEY = 'workers';
export const DISPATCHERS_KEY = 'dispatchers';
export const API_KEYS_KEY = 'api-keys';
export const EVENT_SEAL_KEY = 'event-seal';
export const groupKey = (groupId: string): string => `group:${groupId}`;
export const idempotencyKey = (key: string): string => `idempotency:${key}`;

/** Content address of a function: the first half of the SHA-256 of its pickle in the shape of a UUID (version 8: vendor specific). */
export function functionIdOf(payload: Uint8Array): string {
  const hex = createHash('sha256').update(payload).digest('hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
