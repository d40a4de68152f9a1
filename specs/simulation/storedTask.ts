import type { Failure, Isolation } from '../../bus/messages.js';
import { laneOf } from '../../bus/tenants.js';
import { PRIORITIES } from '../../bus/redis/keys.js';
import { timeoutField } from '../../bus/redis/taskExtras.js';
import { parseTask, type TaskHash } from '../../bus/redis/taskRecord.js';
import type { NewTask, RetryPolicy, TaskRecord, TaskState } from '../../bus/taskStore.js';

/** A task hash, as a value: the fields that `bus/redis/taskRecord.ts` lists. Optional ones are absent from the hash. */
export interface StoredTask {
  readonly taskId: string;
  readonly functionId: string;
  /** Index into `PRIORITIES`. */
  readonly priority: number;
  readonly maxAttempts: number;
  readonly timeoutMs: number;
  readonly isolation: Isolation | undefined;
  readonly retry: RetryPolicy | undefined;
  readonly resultTtlSeconds: number | undefined;
  retries: number;
  /** '' for none. */
  readonly requirement: string;
  readonly tenant: string | undefined;
  readonly dependsOn: string[] | undefined;
  readonly trace: string | undefined;
  readonly unmet: Set<string>;
  readonly dependents: Set<string>;
  awaited: boolean;
  /** Of a blocked task: not before. */
  dueMs: number | undefined;
  state: TaskState;
  /** Dropped when the task completes. */
  arguments: Buffer | undefined;
  attempt: number;
  fence: string | undefined;
  claimant: string | undefined;
  worker: string | undefined;
  claimedMs: number | undefined;
  startedMs: number | undefined;
  finishedMs: number | undefined;
  runTimeUs: number | undefined;
  peakMemoryKib: number | undefined;
  result: Buffer | undefined;
  failure: Failure | undefined;
  /** How earlier attempts ended, separated by commas. */
  interruptions: string | undefined;
  outputTruncated: boolean;
  history: string;
  /** When the key is gone; undefined while the task has not ended. */
  expiresAtMs: number | undefined;
}

export function storedTask(task: NewTask, state: TaskState): StoredTask {
  return {
    taskId: task.taskId,
    functionId: task.functionId,
    priority: PRIORITIES.indexOf(task.priority),
    maxAttempts: task.maxAttempts,
    timeoutMs: task.timeoutMs,
    isolation: task.isolation,
    retry: task.retry,
    resultTtlSeconds: task.resultTtlSeconds,
    retries: 0,
    requirement: task.requirement ?? '',
    tenant: task.tenant,
    dependsOn: task.dependsOn,
    trace: task.trace,
    unmet: new Set(task.dependsOn),
    dependents: new Set(),
    awaited: false,
    dueMs: undefined,
    state,
    arguments: task.arguments,
    attempt: 0,
    fence: undefined,
    claimant: undefined,
    worker: undefined,
    claimedMs: undefined,
    startedMs: undefined,
    finishedMs: undefined,
    runTimeUs: undefined,
    peakMemoryKib: undefined,
    result: undefined,
    failure: undefined,
    interruptions: undefined,
    outputTruncated: false,
    history: '',
    expiresAtMs: undefined,
  };
}

/** Goes through the reader of the Redis hash, so that the model cannot read a task in its own way. */
export function recordOf(task: StoredTask, dueAtMs: number | undefined): TaskRecord | undefined {
  const fields: Record<string, Buffer | string | number | undefined> = {
    state: task.state,
    function: task.functionId,
    priority: task.priority + 1,
    max: task.maxAttempts,
    timeout: timeoutField({ timeoutMs: task.timeoutMs, ...(task.isolation && { isolation: task.isolation }) }),
    attempt: task.attempt,
    worker: task.worker,
    needs: laneOf(task.tenant, task.requirement) || undefined,
    result: task.result,
    failure: task.failure && JSON.stringify(task.failure),
    output_truncated: task.outputTruncated ? '1' : undefined,
    history: task.history,
    retry: task.retry && JSON.stringify(task.retry),
    retries: task.retries === 0 ? undefined : task.retries,
    after: task.resultTtlSeconds,
    deps: task.dependsOn?.join(''),
  };
  const hash: TaskHash = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) hash[name] = Buffer.isBuffer(value) ? value : Buffer.from(String(value));
  }
  const record = parseTask(task.taskId, hash, dueAtMs);
  const measured = {
    claimedAtMs: task.claimedMs,
    startedAtMs: task.startedMs,
    finishedAtMs: task.finishedMs,
    runTimeUs: task.runTimeUs,
    peakMemoryKib: task.peakMemoryKib,
  };
  const known = Object.fromEntries(Object.entries(measured).filter(([, value]) => value !== undefined && value !== 0));
  return record && { ...record, ...known };
}
