import { type Static, type TSchema, type TString, type TUnion, type TNull, Type } from '@fastify/type-provider-typebox';
import type { ErrorCode } from '../bus/errors.js';
import { ERROR_CATALOGUE } from '../bus/errors.js';
import { PRIORITIES } from '../bus/redis/keys.js';
import { LABEL_PATTERN, MAX_LABELS } from '../bus/requirement.js';
import type { TaskOutcome } from '../bus/taskStore.js';
import { STATUSES } from './taskStatus.js';

/** Longest a request may wait for results. */
export const MAX_WAIT_SECONDS = 60;
/** Most tasks of one request. */
export const MAX_BATCH_TASKS = 10_000;
/** Most tasks that one task may depend on. */
const MAX_DEPENDENCIES = 1_000;
const SECONDS_PER_YEAR = 365 * 86_400;

/** A UUID of any version, in either case. The store knows ids in lower case only. */
export const UUID_PATTERN = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$';

export const Uuid = (description: string): TString =>
  Type.String({ pattern: UUID_PATTERN, description, examples: ['6b1c3c5e-5d0c-4b5e-9b3f-1f6f0f6f2a11'] });

/** Of `dill.dumps(((2,), {}))`, without its newline. */
const EXAMPLE_PAYLOAD = 'gASVCwAAAAAAAABLAoWUfZSGlC4=\n';

export const Payload = (description: string): TString => Type.String({ description, examples: [EXAMPLE_PAYLOAD] });

export const Nullable = <T extends TSchema>(schema: T): TUnion<[T, TNull]> => Type.Union([schema, Type.Null()]);

export const StatusSchema = Type.Unsafe<(typeof STATUSES)[number]>({
  type: 'string',
  enum: [...STATUSES],
  description: 'QUEUED and RUNNING may change; COMPLETED, FAILED and CANCELLED are final.',
});

const RetryOption = Type.Object(
  {
    max_retries: Type.Integer({ minimum: 1, maximum: 100, description: 'How often at most', examples: [3] }),
    backoff_s: Type.Optional(
      Type.Number({ minimum: 0, maximum: SECONDS_PER_YEAR, description: 'Delay before the first retry. Default 1' }),
    ),
    backoff_factor: Type.Optional(
      Type.Number({ minimum: 1, maximum: 1000, description: 'Each delay is so many times the one before. Default 2' }),
    ),
    max_backoff_s: Type.Optional(
      Type.Number({ minimum: 0, maximum: SECONDS_PER_YEAR, description: 'Longest delay. Default 300' }),
    ),
    jitter: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: 'Share of the delay that is random, so that many tasks do not come back at once. Default 0.5',
      }),
    ),
    on: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
        minItems: 1,
        maxItems: 32,
        description:
          'Names of exception classes, `ConnectionError` or `mymodule.MyError`; classes derived from them count. Absent: any Exception',
        examples: [['ConnectionError']],
      }),
    ),
  },
  {
    description:
      'Try again after an exception. Lost workers and crashes do not count here, nor retries for `max_attempts`.',
  },
);
export type RetryOption = Static<typeof RetryOption>;

/** Options of a task, alike wherever tasks are submitted. */
export const taskOptions = {
  timeout_s: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: SECONDS_PER_YEAR,
      description: 'Longest run time in seconds; the task then fails with Timeout. 0 or absent: none.',
      examples: [30],
    }),
  ),
  max_attempts: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1000,
      description:
        'Starts until a lost worker or crashed process is the end. An exception your function raises is an answer; see `retry`.',
      examples: [3],
    }),
  ),
  priority: Type.Optional(
    Type.Unsafe<(typeof PRIORITIES)[number]>({
      type: 'string',
      enum: [...PRIORITIES],
      description: 'Which tasks go first. Absent: normal.',
      examples: ['normal'],
    }),
  ),
  labels: Type.Optional(
    Type.Array(Type.String({ pattern: LABEL_PATTERN }), {
      maxItems: MAX_LABELS,
      description: 'Only workers that were started with all of these (`--label`) get the task. Absent: any worker.',
      examples: [['gpu']],
    }),
  ),
  delay_s: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: SECONDS_PER_YEAR,
      description: 'Seconds until the task may start. 0 or absent: at once.',
      examples: [0],
    }),
  ),
  isolation: Type.Optional(
    Type.Unsafe<'fresh'>({
      type: 'string',
      enum: ['fresh'],
      description:
        '`fresh`: in a process that has run no other task, and runs none after it; that takes a tenth of a second longer. Absent: a warm one.',
      examples: ['fresh'],
    }),
  ),
  retry: Type.Optional(RetryOption),
  depends_on: Type.Optional(
    Type.Array(Uuid('Id of a task'), {
      maxItems: MAX_DEPENDENCIES,
      description: `Ids of tasks that must have completed before this one starts; if one fails or is cancelled, this one fails with
DependencyFailed. The arguments may refer to their values by the persistent id \`("mpcsfaas.task", "<task id>")\`.`,
      examples: [[]],
    }),
  ),
  result_ttl_s: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: SECONDS_PER_YEAR,
      description: 'Seconds that the finished task and its result are kept. Absent: RESULT_TTL_SECONDS of the server.',
      examples: [3600],
    }),
  ),
};
export const TaskOptions = Type.Object(taskOptions);
export type TaskOptions = Static<typeof TaskOptions>;

export const TaskParams = Type.Object({ task_id: Uuid('Id of a task') });

export const waitSeconds = Type.Number({
  minimum: 0,
  maximum: MAX_WAIT_SECONDS,
  description: `Seconds to wait for the end, at most ${MAX_WAIT_SECONDS}; the answer comes as soon as it is there.`,
});

/** Handlers answer with the outcome itself; `resultJson.ts` makes this of it. */
export const TaskResult = Type.Unsafe<TaskOutcome>(
  Type.Object({
    task_id: Uuid('Id of the task'),
    status: StatusSchema,
    result: Type.String({
      description: 'Base64 of the pickled value, or of the exception when FAILED or CANCELLED; empty before the end.',
      examples: ['gARLBC4=\n'],
    }),
  }),
);

const ErrorBody = Type.Object({
  detail: Type.String({ description: 'What is wrong, in a sentence.' }),
  code: Type.String({ description: 'Its name in the error catalogue.' }),
  remedy: Type.Optional(Type.String({ description: 'What to do about it.' })),
});

/** Response schemas for the errors a route can answer with, by HTTP status, described by the catalogue. */
export function errorResponses(...codes: ErrorCode[]): Record<number, TSchema> {
  const responses: Record<number, TSchema> = {};
  for (const code of codes) {
    const { status } = ERROR_CATALOGUE[code];
    const names = [...codes.filter((other) => ERROR_CATALOGUE[other].status === status)].join(', ');
    responses[status] = Type.Object(ErrorBody.properties, { description: names });
  }
  return responses;
}
