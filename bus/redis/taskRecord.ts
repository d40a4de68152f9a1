import type { Failure } from '../messages.js';
import { TASK_STATES, type TaskOutcome, type TaskRecord, type TaskState, type TransitionRecord } from '../taskStore.js';
import { PRIORITIES } from './keys.js';

/**
 * The task hash, field by field: state, function, args, priority (1..3), max, timeout, attempt, fence, claimant, worker,
 * claimed, started, finished (ms), run_us, peak_kib, result, failure (JSON), interruptions, output_truncated, and history: a
 * line per transition, `<ms> <event> <state>[ <detail>]`.
 */
export type TaskHash = Record<string, Buffer>;

const NO_BYTES = Buffer.alloc(0);

export function parseState(field: Buffer | null | undefined): TaskState | undefined {
  const text = field?.toString();
  return TASK_STATES.find((state) => state === text);
}

export function parseFailure(field: Buffer | null | undefined): Failure | undefined {
  return field?.length ? (JSON.parse(field.toString()) as Failure) : undefined;
}

/** @param fields state, result, failure */
export function parseOutcome(taskId: string, fields: (Buffer | null)[]): TaskOutcome | undefined {
  const state = parseState(fields[0]);
  if (state === undefined) return undefined;
  const failure = parseFailure(fields[2]);
  return { taskId, state, payload: fields[1] ?? NO_BYTES, ...(failure && { failure }) };
}

export function parseHistory(field: Buffer | undefined): TransitionRecord[] {
  if (!field?.length) return [];
  return field
    .toString()
    .split('\n')
    .map((line) => {
      const [at = '0', event = '', to = '', ...detail] = line.split(' ');
      return { atMs: Number(at), event, to: to as TaskState, ...(detail.length > 0 && { detail: detail.join(' ') }) };
    });
}

export function parseTask(taskId: string, hash: TaskHash, dueAtMs: number | undefined): TaskRecord | undefined {
  const outcome = parseOutcome(taskId, [hash.state ?? null, hash.result ?? null, hash.failure ?? null]);
  if (outcome === undefined) return undefined;
  const number = (field: string): number | undefined => {
    const value = Number(hash[field]?.toString() ?? 0);
    return value === 0 ? undefined : value;
  };
  const history = parseHistory(hash.history);
  const optional = {
    worker: hash.worker?.toString(),
    claimedAtMs: number('claimed'),
    startedAtMs: number('started'),
    finishedAtMs: number('finished'),
    runTimeUs: number('run_us'),
    peakMemoryKib: number('peak_kib'),
    dueAtMs,
  };
  return {
    ...outcome,
    functionId: hash.function?.toString() ?? '',
    priority: PRIORITIES[(number('priority') ?? 2) - 1] ?? 'normal',
    attempt: number('attempt') ?? 0,
    maxAttempts: number('max') ?? 1,
    timeoutMs: number('timeout') ?? 0,
    queuedAtMs: history[0]?.atMs ?? 0,
    outputTruncated: hash.output_truncated !== undefined,
    history,
    ...(Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)) as Partial<TaskRecord>),
  };
}
