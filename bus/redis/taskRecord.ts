import type { Failure, Isolation } from '../messages.js';
import {
  type RetryPolicy,
  TASK_STATES,
  type TaskOutcome,
  type TaskRecord,
  type TaskState,
  type TransitionRecord,
} from '../taskStore.js';
import type { TaskSummary } from '../taskLists.js';
import { partsOfLane } from '../tenants.js';
import { joinedIds } from './joinedIds.js';
import { PRIORITIES } from './keys.js';
import { largeResult } from './largeValues.js';

/**
 * The task hash, field by field:
 * - state, function, args (empty when the task has completed); where they are not the usual: priority (1..3, usually 2),
 *   max (3), timeout (ms, and perhaps the isolation: see `timeoutField`; 0)
 * - submitted: ms; absent when the task was delayed, then the history tells
 * - fence: `<attempt>:<nonce>` of the latest claim; claim: `<ms> <claimant>`, while it lasts and after the end; attempt: number of
 *   claims that count, written when a task goes back into the queue
 * - worker; ran: `<finished ms> <started ms> <run time us> <peak memory KiB>`; result, failure (JSON), output_truncated
 * - ended: line of the last transition, where it is not that of a success
 * - of few tasks: needs (its lane: whose it is and its requirement, see `tenants.ts`), retry (JSON of `RetryPolicy`), retries (attempts that it followed by another), after (see `ending.lua`),
 *   deps (joined ids of the tasks that it depends on), due (ms, while blocked: not before)
 * - again: id of the task under which it was run again
 * - history: lines of what happened before the latest claim; interruptions: how earlier attempts were cut short
 * - in place of args and result, when they are large: large_args, and large ('1') while it is there; large_result:<fence>
 *
 * A line is `<ms> <event> <state>[ <detail>]`.
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

function parseLine(line: string): TransitionRecord {
  const [at = '0', event = '', to = '', ...detail] = line.split(' ');
  return { atMs: Number(at), event, to: to as TaskState, ...(detail.length > 0 && { detail: detail.join(' ') }) };
}

const text = (field: Buffer | undefined): string | undefined => (field?.length ? field.toString() : undefined);
/** Undefined for 0 as well: what was not measured. */
const positive = (value: string | undefined): number | undefined => Number(value ?? 0) || undefined;

/** The way back of `timeoutField`. */
export function parseTimeout(field: string | undefined): { timeoutMs: number; isolation?: Isolation } {
  const [timeout = '0', isolation] = field?.split(' ') ?? [];
  return { timeoutMs: Number(timeout), ...(isolation === 'fresh' && { isolation }) };
}

export function parseTask(taskId: string, hash: TaskHash, dueAtMs: number | undefined): TaskRecord | undefined {
  const result = hash.result ?? hash[largeResult(hash.fence?.toString() ?? '')];
  const outcome = parseOutcome(taskId, [hash.state ?? null, result ?? null, hash.failure ?? null]);
  if (outcome === undefined) return undefined;
  const worker = text(hash.worker);
  const { tenant, requirement } = partsOfLane(text(hash.needs) ?? '');
  const attempt = positive(/^\d+/.exec(text(hash.fence) ?? '')?.[0]) ?? positive(text(hash.attempt)) ?? 0;
  const [claimed] = text(hash.claim)?.split(' ') ?? [];
  const [finished, started, runTime, peakMemory] = text(hash.ran)?.split(' ') ?? [];
  const ended = text(hash.ended) ?? (finished && `${finished} task.succeeded completed on ${worker}`);
  const lines = [
    hash.submitted && `${hash.submitted.toString()} task.submitted queued`,
    ...(text(hash.history)?.split('\n') ?? []),
    claimed && `${claimed} task.claimed running attempt ${attempt}`,
    ended,
  ];
  const history = lines.filter((line) => line !== undefined && line !== '').map((line) => parseLine(line as string));
  const optional = {
    worker,
    requirement: requirement || undefined,
    tenant,
    claimedAtMs: positive(claimed),
    startedAtMs: positive(started),
    finishedAtMs: ended === undefined ? undefined : history.at(-1)?.atMs,
    runTimeUs: positive(runTime),
    peakMemoryKib: positive(peakMemory),
    dueAtMs,
    isolation: parseTimeout(text(hash.timeout)).isolation,
    retry: hash.retry && (JSON.parse(hash.retry.toString()) as RetryPolicy),
    dependsOn: hash.deps && joinedIds(hash.deps.toString('latin1')),
    resultTtlSeconds: positive(/^\d+/.exec(text(hash.after) ?? '')?.[0]),
    runAgainAs: hash.again?.toString(),
  };
  return {
    ...outcome,
    functionId: text(hash.function) ?? '',
    priority: PRIORITIES[(positive(text(hash.priority)) ?? 2) - 1] ?? 'normal',
    attempt,
    maxAttempts: positive(text(hash.max)) ?? 3,
    timeoutMs: parseTimeout(text(hash.timeout)).timeoutMs,
    retries: positive(text(hash.retries)) ?? 0,
    queuedAtMs: history[0]?.atMs ?? 0,
    outputTruncated: hash.output_truncated !== undefined,
    history,
    ...(Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)) as Partial<TaskRecord>),
  };
}

/** What a list shows of a task is made of these. */
export const SUMMARY_FIELDS = [
  ...[
    'state',
    'function',
    'priority',
    'max',
    'submitted',
    'fence',
    'claim',
    'attempt',
    'worker',
    'ran',
    'ended',
    'again',
    'needs',
  ],
  ...['history', 'failure'],
];

/** @param fields those of `SUMMARY_FIELDS`; of the history the first line will do */
export function parseSummary(taskId: string, fields: (Buffer | null)[] | undefined): TaskSummary | undefined {
  if (!fields) return undefined;
  const present = SUMMARY_FIELDS.flatMap((name, place) => (fields[place] ? [[name, fields[place]] as const] : []));
  return parseTask(taskId, Object.fromEntries(present), undefined);
}
