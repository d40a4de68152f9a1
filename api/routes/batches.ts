import { Type } from '@fastify/type-provider-typebox';
import { PlatformError } from '../../bus/errors.js';
import type { NewTask, TaskOutcome } from '../../bus/taskStore.js';
import type { Asker } from '../../bus/tenants.js';
import { clientOf } from '../client.js';
import { acceptedStream, acceptsMsgpack, JSON_TYPE, MSGPACK_TYPE, msgpackAnswer } from '../contentTypes.js';
import { refuseWhileDraining } from '../draining.js';
import type { ErrorReply } from '../errorReplies.js';
import { IndexSet } from '../groups/indexSet.js';
import { IdempotencyHeaders, idsFor } from '../idempotency.js';
import { mustExist } from '../dependencies.js';
import { longestLifeMs, newTask } from '../newTask.js';
import { askerOf, ownerOf } from '../principal.js';
import { resultFields, resultJson } from '../resultJson.js';
import { traceRequest } from '../requestTrace.js';
import { errorResponses, MAX_BATCH_TASKS, TaskResult, Uuid, waitSeconds } from '../schemas.js';
import type { Api, ApiServices } from '../services.js';
import { sendStream } from '../sendStream.js';
import { JsonTasks, MsgpackTasks, tasksOf, type TasksBody } from '../tasksBody.js';

/** Many tasks in one request: what makes the platform fast. */
export function batchRoutes(app: Api, services: ApiServices): void {
  submitRoute(app, services);
  resultsRoute(app, services);
}

interface Submitted {
  task_ids: string[];
  group_id: string;
}

function submitRoute(app: Api, services: ApiServices): void {
  const { knownFunctions, connectedWorkers, submitter, groups, idempotencyStore, config } = services;
  const body = { content: { [JSON_TYPE]: { schema: JsonTasks }, [MSGPACK_TYPE]: { schema: MsgpackTasks } } };
  app.post(
    '/tasks',
    {
      config: { scope: 'submit', audit: 'tasks.submit' },
      onRequest: refuseWhileDraining(services),
      // Ids need no escaping.
      serializerCompiler: () => (answer: Submitted | ErrorReply) =>
        'task_ids' in answer
          ? `{"task_ids":["${answer.task_ids.join('","')}"],"group_id":"${answer.group_id}"}`
          : JSON.stringify(answer),
      schema: {
        operationId: 'submitTasks',
        tags: ['tasks'],
        summary: 'Run a function many times, or several functions',
        description: `All tasks are durable when the answer comes. A request with anything wrong in it submits none. Either \`function_id\`
and \`payloads\`, or \`tasks\` with a function and options each. The tasks are in a group, whose results GET /groups/{group_id}/results
streams as they finish. With \`content-type: ${MSGPACK_TYPE}\` the body is MessagePack, the same fields, and payloads are binaries
instead of base64.`,
        headers: IdempotencyHeaders,
        body: body,
        response: {
          200: Type.Object({
            task_ids: Type.Array(Type.String(), { description: 'In the order of the payloads' }),
            group_id: Uuid('The group that the tasks are in'),
          }),
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
      const body = request.body as TasksBody;
      const asker = askerOf(request.principal);
      const tenant = ownerOf(request.principal);
      const requests = tasksOf(body);
      const pythons = await knownFunctions.pythonsOf(new Set(requests.map(({ functionId }) => functionId)), asker);
      const { ids, once } = await idsFor(request, idempotencyStore);
      const groupId = body.group_id?.toLowerCase() ?? ids();
      const trace = traceRequest(services.tracer, request, reply);
      const { maxAttempts, maxArgumentBytes } = config;
      const defaults = { maxAttempts, maxArgumentBytes, pythons, tenant, trace };
      const tasks = requests.map((one) => newTask(ids(), one, defaults));
      services.submitRate.take(request.principal, tasks.length);
      await connectedWorkers.mustFit(tasks);
      await mustExist(tasks, services.store, asker);
      const taskIds = tasks.map(({ taskId }) => taskId);
      request.audited = { group_id: groupId, tasks: taskIds.length };
      const addition = {
        taskIds,
        final: body.final ?? false,
        keepMs: longest(tasks),
        ...(once !== undefined && { once }),
      };
      // Both leave together, the group first: whoever has an answer has all its tasks in the group.
      await Promise.all([groups.append(groupId, addition, tenant), submitter.submit(tasks, request.id)]);
      const answer = { task_ids: taskIds, group_id: groupId };
      return acceptsMsgpack(request) ? msgpackAnswer(reply, answer) : answer;
    },
  );
}

/** How much longer than usual the group is of use. */
function longest(tasks: readonly NewTask[]): number {
  let longestMs = 0;
  for (const task of tasks) longestMs = Math.max(longestMs, longestLifeMs(task));
  return longestMs;
}

function resultsRoute(app: Api, { store, settled, groups, streams }: ApiServices): void {
  app.post(
    '/results',
    {
      config: { scope: 'read' },
      serializerCompiler: () => (answer: { results: TaskOutcome[] } | ErrorReply) =>
        'results' in answer ? `{"results":[${answer.results.map(resultJson).join(',')}]}` : JSON.stringify(answer),
      schema: {
        operationId: 'getResults',
        tags: ['tasks'],
        summary: 'What many tasks returned',
        description: `Answers when all have ended, or when the wait is over; \`result\` is empty for those that have not ended. With
\`accept: ${MSGPACK_TYPE}\` the answer is MessagePack and results are binaries. With the type of a stream (see
GET /groups/{group_id}/results) results come one by one, as the tasks end, \`index\` being the place among \`task_ids\`.`,
        body: Type.Object({
          task_ids: Type.Array(Uuid('Id of a task'), { minItems: 1, maxItems: MAX_BATCH_TASKS }),
          wait: Type.Optional(waitSeconds),
        }),
        response: {
          200: Type.Object({ results: Type.Array(TaskResult, { description: 'In the order of the ids' }) }),
          ...errorResponses(
            'VALIDATION_FAILED',
            'TASK_UNKNOWN',
            'ANSWER_TOO_LARGE',
            'TOO_MANY_WAITS',
            'STORE_UNAVAILABLE',
          ),
        },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const taskIds = body.task_ids.map((taskId) => taskId.toLowerCase());
      const asker = askerOf(request.principal);
      const timeoutMs = (body.wait ?? 0) * 1000;
      const format = acceptedStream(request);
      if (format) {
        const options = { format, have: new IndexSet(), follow: false, waitMs: timeoutMs };
        const group = groups.adHoc(taskIds, await hiddenOf(taskIds, store, asker));
        return sendStream(reply, await streams.start(group, options, asker));
      }
      const outcomes = await settled.wait(taskIds, { timeoutMs, client: clientOf(reply), asker });
      const results = outcomes.map((outcome, index) => outcome ?? throwUnknown(taskIds[index]));
      return acceptsMsgpack(request) ? msgpackAnswer(reply, { results: results.map(resultFields) }) : { results };
    },
  );
}

/** Places of the ids that are not there for who asks. To who may see all, all is shown as it comes. */
async function hiddenOf(taskIds: string[], store: ApiServices['store'], asker: Asker): Promise<number[]> {
  if (asker === undefined) return [];
  const states = await store.readStatuses(taskIds, asker);
  return taskIds.flatMap((_, index) => (states[index] === undefined ? [index] : []));
}

function throwUnknown(taskId: string | undefined): never {
  throw new PlatformError('TASK_UNKNOWN', `There is no task ${String(taskId)}.`);
}
