import { Type } from '@fastify/type-provider-typebox';
import { PlatformError } from '../../bus/errors.js';
import type { TaskOutcome } from '../../bus/taskStore.js';
import { clientOf } from '../client.js';
import { refuseWhileDraining } from '../draining.js';
import type { ErrorReply } from '../errorReplies.js';
import { acceptsMsgpack, MSGPACK_TYPE, msgpackAnswer } from '../contentTypes.js';
import { IdempotencyHeaders, idsFor } from '../idempotency.js';
import { mustExist } from '../dependencies.js';
import { dependsOnOthers, newTask } from '../newTask.js';
import { pickleOf } from '../pickleField.js';
import { askerOf, ownerOf } from '../principal.js';
import { queryValues } from '../queryValues.js';
import { traceRequest } from '../requestTrace.js';
import { resultFields, resultJson } from '../resultJson.js';
import {
  errorResponses,
  Payload,
  StatusSchema,
  taskOptions,
  TaskParams,
  TaskResult,
  Uuid,
  waitSeconds,
} from '../schemas.js';
import type { Api, ApiServices } from '../services.js';
import { statusOf } from '../taskStatus.js';

const TaskId = Uuid('Id of the task');

/** The course API for one task: submit, ask, fetch. Existing clients depend on every word of it. */
export function courseRoutes(app: Api, services: ApiServices): void {
  executeRoute(app, services);
  statusRoute(app, services);
  resultRoute(app, services);
}

function executeRoute(app: Api, services: ApiServices): void {
  const { knownFunctions, connectedWorkers, submitter, settled, idempotencyStore, config } = services;
  app.post(
    '/execute_function',
    {
      config: { scope: 'submit', audit: 'task.submit' },
      onRequest: refuseWhileDraining(services),
      preValidation: queryValues({ numbers: ['wait'] }),
      serializerCompiler: outcomeOrJson,
      schema: {
        operationId: 'executeFunction',
        tags: ['course'],
        summary: 'Run a function',
        description:
          'The task is durable when the answer comes. The options are extensions; the course has the first two fields. With `wait` the answer comes at the end, or when the wait is over, and has the status and the result.',
        headers: IdempotencyHeaders,
        querystring: Type.Object({ wait: Type.Optional(waitSeconds) }),
        body: Type.Object({
          function_id: Uuid('Id that /register_function answered'),
          payload: Payload('Base64 of `dill.dumps((args, kwargs))`, a tuple and a dict'),
          ...taskOptions,
        }),
        response: {
          200: Type.Union([Type.Object({ task_id: TaskId }), TaskResult]),
          ...errorResponses(
            'VALIDATION_FAILED',
            'PAYLOAD_NOT_BASE64',
            'PAYLOAD_NOT_PICKLE',
            'FUNCTION_UNKNOWN',
            'TASK_UNKNOWN',
            'IDEMPOTENCY_MISMATCH',
            'NO_WORKER_WITH_PYTHON',
            'TOO_MANY_REQUIREMENTS',
            'QUOTA_EXCEEDED',
            'BODY_TOO_LARGE',
            'ARGUMENTS_TOO_LARGE',
            'UNSUPPORTED_MEDIA_TYPE',
            'STORE_UNAVAILABLE',
            'SHUTTING_DOWN',
          ),
        },
      },
    },
    async (request, reply) => {
      const { body, query, principal } = request;
      const asker = askerOf(principal);
      const functionId = body.function_id.toLowerCase();
      const args = pickleOf(() => 'payload', body.payload, dependsOnOthers(body));
      const pythons = await knownFunctions.pythonsOf(new Set([functionId]), asker);
      const { ids, once } = await idsFor(request, idempotencyStore);
      const trace = traceRequest(services.tracer, request, reply);
      const { maxAttempts, maxArgumentBytes } = config;
      const defaults = { maxAttempts, maxArgumentBytes, pythons, tenant: ownerOf(principal), trace };
      const timeoutMs = (query.wait ?? 0) * 1000;
      const task = newTask(ids(), { functionId, arguments: args, options: body }, defaults);
      if (timeoutMs > 0 && services.reader !== undefined) task.reader = services.reader;
      services.submitRate.take(principal, 1);
      await connectedWorkers.mustFit([task]);
      const { taskId } = task;
      request.audited = { task_id: taskId, function_id: functionId };
      await mustExist([task], services.store, asker);
      const begin = (): Promise<void> => submitter.submit([task], request.id);
      const wait = { timeoutMs, client: clientOf(reply), asker };
      if (timeoutMs === 0 || once !== undefined) await begin();
      if (timeoutMs === 0) return { task_id: taskId };
      // A repeated request's task may have ended before: it is looked for.
      const [outcome] = await settled.wait([taskId], once === undefined ? { ...wait, begin } : wait);
      // Nothing came of it, and nothing was looked for.
      return outcome ?? { taskId, state: 'queued' as const, payload: Buffer.alloc(0) };
    },
  );
}

/** Handlers answer with the outcome itself: `resultJson` is faster than a serializer made from a schema. */
const outcomeOrJson = () => (answer: TaskOutcome | { task_id: string } | ErrorReply) =>
  'state' in answer ? resultJson(answer) : JSON.stringify(answer);

function statusRoute(app: Api, { store }: ApiServices): void {
  app.get(
    '/status/:task_id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getStatus',
        tags: ['course'],
        summary: 'Where a task stands',
        params: TaskParams,
        response: {
          200: Type.Object({ task_id: TaskId, status: StatusSchema }),
          ...errorResponses('VALIDATION_FAILED', 'TASK_UNKNOWN', 'STORE_UNAVAILABLE'),
        },
      },
    },
    async ({ params, principal }) => {
      const taskId = params.task_id.toLowerCase();
      const [state] = await store.readStatuses([taskId], askerOf(principal));
      if (state === undefined) throw unknownTask(taskId);
      return { task_id: taskId, status: statusOf(state) };
    },
  );
}

function resultRoute(app: Api, { settled }: ApiServices): void {
  app.get(
    '/result/:task_id',
    {
      config: { scope: 'read' },
      preValidation: queryValues({ numbers: ['wait'] }),
      serializerCompiler: outcomeOrJson,
      schema: {
        operationId: 'getResult',
        tags: ['course'],
        summary: 'What a task returned, or raised',
        description: `Before the end \`result\` is empty; with \`wait\` the answer comes at the end, or when the wait is over. With
\`accept: ${MSGPACK_TYPE}\` the answer is MessagePack and the result a binary.`,
        params: TaskParams,
        querystring: Type.Object({ wait: Type.Optional(waitSeconds) }),
        response: {
          200: TaskResult,
          ...errorResponses('VALIDATION_FAILED', 'TASK_UNKNOWN', 'TOO_MANY_WAITS', 'STORE_UNAVAILABLE'),
        },
      },
    },
    async (request, reply) => {
      const { params, query } = request;
      const taskId = params.task_id.toLowerCase();
      const timeoutMs = (query.wait ?? 0) * 1000;
      const asker = askerOf(request.principal);
      const wait = timeoutMs > 0 ? { timeoutMs, client: clientOf(reply), asker } : { timeoutMs, asker };
      const [outcome] = await settled.wait([taskId], wait);
      if (outcome === undefined) throw unknownTask(taskId);
      return acceptsMsgpack(request) ? msgpackAnswer(reply, resultFields(outcome)) : outcome;
    },
  );
}

function unknownTask(taskId: string): PlatformError {
  return new PlatformError('TASK_UNKNOWN', `There is no task ${taskId}.`);
}
