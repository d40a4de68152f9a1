import { type Static, type TObject, type TSchema, Type } from '@fastify/type-provider-typebox';
import { needsOf } from '../bus/requirement.js';
import type { Failure } from '../bus/messages.js';
import type { TaskSummary } from '../bus/taskLists.js';
import type { TaskRecord, TransitionRecord } from '../bus/taskStore.js';
import { Nullable, StatusSchema, Uuid } from './schemas.js';
import { statusOf } from './taskStatus.js';
import { WaitingFor } from './waitingFor.js';
import { isoTime, isoTimeSchema, msTimeSchema } from './times.js';

const text = (description: string) => Nullable(Type.String({ description }));
const number = (description: string) => Nullable(Type.Number({ description }));

/** The moments of a task's life, each as ISO text and in ms; null where it has not come. */
const MOMENTS = {
  queued: 'When it was accepted',
  claimed: 'When a dispatcher last took it',
  started: 'When its function was last called, by the clock of the worker',
  finished: 'When it ended',
  due: 'When a delayed or retrying task may start',
  next_attempt: 'When a retrying task may start again',
} as const;
type Moment = keyof typeof MOMENTS;
type MomentFields = Record<`${Moment}_at`, string | null> & Record<`${Moment}_at_ms`, number | null>;

const momentSchemas = Object.fromEntries(
  Object.entries(MOMENTS).flatMap(([moment, description]): [string, TSchema][] => [
    [`${moment}_at`, Nullable(isoTimeSchema(description))],
    [`${moment}_at_ms`, Nullable(msTimeSchema(description))],
  ]),
);

const FailureStory = Type.Object({
  type: Type.String({ description: 'UserException, or what the platform calls it: Timeout, ProcessCrashed, ...' }),
  message: Type.String(),
  exception: text("Class name of the function's own exception"),
  traceback: text('As Python printed it where the function ran'),
  signal: text('Signal that ended the process'),
  exit_code: number('With which the process ended by itself'),
});

const Transition = Type.Object({
  at: isoTimeSchema('When'),
  at_ms: msTimeSchema('When'),
  event: Type.String({ examples: ['task.claimed'] }),
  from: Type.String({ description: 'State before, `new` for the first', examples: ['queued'] }),
  to: Type.String({ description: 'State after', examples: ['running'] }),
  detail: text('What explains it: worker, attempt, signal'),
});

const storyFields = {
  task_id: Uuid('Id of the task'),
  status: StatusSchema,
  state: Type.String({
    description: 'Finer than status: blocked, delayed, queued, running, retrying, completed, failed, cancelled',
  }),
  function_id: Uuid('Id of its function'),
  priority: Type.String(),
  attempts: Type.Integer({ description: 'Starts so far' }),
  max_attempts: Type.Integer(),
  timeout_s: number('Longest run time'),
  isolation: text('fresh: in a process of its own'),
  retries: Type.Integer({ description: 'Attempts so far that raised an exception and were followed by another' }),
  max_retries: Type.Integer({ description: 'Of `retry`; 0 without' }),
  depends_on: Type.Array(Type.String(), { description: 'Ids of the tasks that had to complete before' }),
  result_ttl_s: number('How long it is kept when it has ended; null: as the server keeps all'),
  worker: text('The last that ran it'),
  run_time_us: number('Of the call of the function, microseconds'),
  peak_memory_kib: number('Of the Python process'),
  result_bytes: Type.Integer({ description: 'Size of the pickled result' }),
  output_truncated: Type.Boolean({ description: 'It printed more than is kept' }),
  failure: Nullable(FailureStory),
  run_again_as: Nullable(Uuid('Task under which it was run again, the latest')),
  labels: Type.Array(Type.String(), { description: 'That its worker must have' }),
  waiting_for: Nullable(WaitingFor),
  history: Type.Array(Transition, { description: 'Oldest first' }),
};

type Story = Static<TObject<typeof storyFields>> & MomentFields;
export const TaskStory = Type.Unsafe<Story>(Type.Object({ ...storyFields, ...momentSchemas }));

/** A task's record in the words of the API. */
export function taskStory(task: TaskRecord, waiting: WaitingFor | null): Story {
  return {
    task_id: task.taskId,
    status: statusOf(task.state),
    state: task.state,
    function_id: task.functionId,
    priority: task.priority,
    attempts: task.attempt,
    max_attempts: task.maxAttempts,
    timeout_s: task.timeoutMs === 0 ? null : task.timeoutMs / 1000,
    isolation: task.isolation ?? null,
    retries: task.retries,
    max_retries: task.retry?.maxRetries ?? 0,
    depends_on: task.dependsOn ?? [],
    result_ttl_s: task.resultTtlSeconds ?? null,
    worker: task.worker ?? null,
    run_time_us: task.runTimeUs ?? null,
    peak_memory_kib: task.peakMemoryKib ?? null,
    result_bytes: task.payload.length,
    output_truncated: task.outputTruncated,
    failure: task.failure ? failureStory(task.failure) : null,
    run_again_as: task.runAgainAs ?? null,
    labels: [...needsOf(task.requirement ?? '').labels],
    waiting_for: waiting,
    history: historyStory(task.history),
    ...moments({
      queued: task.queuedAtMs,
      claimed: task.claimedAtMs,
      started: task.startedAtMs,
      finished: task.finishedAtMs,
      due: task.dueAtMs,
      next_attempt: task.state === 'retrying' ? task.dueAtMs : undefined,
    }),
  };
}

/** A task as lists have it. */
const summaryFields = {
  task_id: storyFields.task_id,
  status: storyFields.status,
  state: storyFields.state,
  function_id: storyFields.function_id,
  function_name: text('Name of its function'),
  priority: storyFields.priority,
  attempts: storyFields.attempts,
  worker: storyFields.worker,
  run_time_us: storyFields.run_time_us,
  failure: Nullable(
    Type.Object({
      type: FailureStory.properties.type,
      message: Type.String({ description: 'Its beginning' }),
      exception: FailureStory.properties.exception,
    }),
  ),
  run_again_as: storyFields.run_again_as,
};
const LISTED_MOMENTS = ['queued', 'started', 'finished'] as const;

type Summary = Static<TObject<typeof summaryFields>> & Pick<MomentFields, `${(typeof LISTED_MOMENTS)[number]}_at`>;
export const TaskSummaryStory = Type.Unsafe<Summary>(
  Type.Object({
    ...summaryFields,
    ...Object.fromEntries(LISTED_MOMENTS.map((moment) => [`${moment}_at`, momentSchemas[`${moment}_at`] as TSchema])),
  }),
);

export function summaryStory(task: TaskSummary, functionName: string | undefined): Summary {
  const { failure } = task;
  const at = (ms: number | undefined): string | null => (ms === undefined ? null : isoTime(ms));
  return {
    task_id: task.taskId,
    status: statusOf(task.state),
    state: task.state,
    function_id: task.functionId,
    function_name: functionName ?? null,
    priority: task.priority,
    attempts: task.attempt,
    worker: task.worker ?? null,
    run_time_us: task.runTimeUs ?? null,
    failure: failure ? { type: failure.type, message: failure.message, exception: failure.exception ?? null } : null,
    run_again_as: task.runAgainAs ?? null,
    queued_at: isoTime(task.queuedAtMs),
    started_at: at(task.startedAtMs),
    finished_at: at(task.finishedAtMs),
  };
}

function moments(times: Record<Moment, number | undefined>): MomentFields {
  return Object.fromEntries(
    Object.entries(times).flatMap(([moment, ms]) => [
      [`${moment}_at`, ms === undefined ? null : isoTime(ms)],
      [`${moment}_at_ms`, ms ?? null],
    ]),
  ) as MomentFields;
}

function failureStory(failure: Failure): Static<typeof FailureStory> {
  return {
    type: failure.type,
    message: failure.message,
    exception: failure.exception ?? null,
    traceback: failure.traceback ?? null,
    signal: failure.signal ?? null,
    exit_code: failure.exitCode ?? null,
  };
}

function historyStory(history: TransitionRecord[]): Static<typeof Transition>[] {
  return history.map(({ atMs, event, to, detail }, index) => ({
    at: isoTime(atMs),
    at_ms: atMs,
    event,
    from: history[index - 1]?.to ?? 'new',
    to,
    detail: detail ?? null,
  }));
}
