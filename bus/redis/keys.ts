import { createHash } from 'node:crypto';
import { DEFAULT_TENANT, tenantSuffix } from '../tenants.js';

/**
 * Where things lie in Redis.
 *
 *     {q:N}:task:<task id>      hash     one task, see `taskRecord.ts`
 *     {q:N}:output:<task id>    string   what the task printed
 *     {q:N}:queue:high|normal|low  list  ids of queued tasks; pushed on the left, claimed on the right
 *     {q:N}:queue:<priority>:<lane>  list  the same, of tasks that only some workers can run, or of one tenant: see `requirement.ts`, `tenants.ts`
 *     {q:N}:queue:<priority>/turns[:<requirement>]  zset  tenants that wait there, see `turns.lua`; /passes: how far each has got
 *     {q:N}:requirements        hash     requirement -> second of its last use; '' -> version, see `requirement.lua`
 *     {q:N}:standing            hash     claimant -> the claim that it left standing, packed, see `standing.lua`
 *     {q:N}:delayed             zset     ids of delayed and retrying tasks, by due time (ms, Redis clock)
 *     {q:N}:leases              zset     ids of running tasks, by lease deadline (ms, Redis clock)
 *     {q:N}:usage, {q:N}:limits, {q:N}:held  hashes  what each tenant has waiting and running, and may have, see `usage.lua`
 *     {q:N}:retained:<tenant>, {q:N}:retained-until:<tenant>  zsets  what finished tasks of a tenant with a cap keep, see `retained.lua`
 *     {q:N}:epoch               hash     in which Redis run, and when, this shard was last reaped; for how long leases are not enforced
 *     {q:N}:blocked             zset     ids of blocked tasks, by when the monitor last looked at them (ms, Redis clock)
 *     {q:N}:unmet:<task id>     set      what a blocked task waits for
 *     {q:N}:dependents:<task id>  set    ids of blocked tasks that wait for this one
 *     {q:N}:recent              stream   ids of accepted tasks, an entry per batch: what lists are made from, see `taskIndex.ts`
 *     {q:N}:failures            stream   ids and failure types of failed and cancelled tasks, an entry per batch
 *     {q:N}:counts              hash     tasks that have ended: `completed`, and by failure type, `Cancelled` among them; never less, though tasks
 *                                        expire. `retrying`: tasks in `delayed` that are. `dead:1`, `:2`, `:3`: entries of cancelled tasks
 *                                        in the queues, by priority
 *     {q:N}:recent:<tenant>, {q:N}:failures:<tenant>  the same of tenants other than `default`; of all those together under `/`
 *     function:<function id>    hash     content-addressed, outside the shards: name, payload, registered, and origin, source, python where they are told
 *     runs:<function id>        hash     how many of its tasks completed and failed, their run times (us) together, and by bucket, see `functionRuns.ts`
 *     functions                 zset     ids of all functions, by registration time (ms); functions:<tenant> of other tenants, functions:/ of all those
 *     workers                   hash     worker name -> JSON of its last known state
 *     dispatchers               hash     dispatcher id -> JSON of its last known state
 *     tenants                   hash     tenants that have registered something, or have limits -> JSON of their limits
 *     group:<group id>          hash     ids of the tasks of a group, see `groupAppend.lua`; group:<tenant>/<group id>
 *     idempotency:<key>         string   digest of a request and the seed of its ids; tenant-idempotency:<tenant>/<key>
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
  standing: string;
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
    standing: `${tag}:standing`,
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
export const TENANTS_KEY = 'tenants';
export const EVENT_SEAL_KEY = 'event-seal';
/** Of all keys that tenants have apart the name is the old one for `default`. */
const isDefault = (tenant: string | undefined): boolean => tenant === undefined || tenant === DEFAULT_TENANT;
export const functionsKey = (tenant: string | undefined): string => FUNCTIONS_KEY + tenantSuffix(tenant);
export const groupKey = (groupId: string, tenant?: string): string =>
  isDefault(tenant) ? `group:${groupId}` : `group:${tenant}/${groupId}`;
/** A prefix of its own: a client's key may be any text. */
export const idempotencyKey = (key: string, tenant?: string): string =>
  isDefault(tenant) ? `idempotency:${key}` : `tenant-idempotency:${tenant}/${key}`;

/**
 * Content address of a function: the first half of the SHA-256 of its pickle in the shape of a UUID (version 8: vendor specific). For other
 * tenants than `default` of the tenant and the pickle: nobody can tell from an id whether another has the same function.
 */
export function functionIdOf(payload: Uint8Array, tenant?: string): string {
  const hash = createHash('sha256');
  if (!isDefault(tenant)) hash.update(`${tenant}\0`);
  const hex = hash.update(payload).digest('hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
