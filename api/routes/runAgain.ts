import { Type } from '@fastify/type-provider-typebox';
import { PlatformError } from '../../bus/errors.js';
import type { TaskQuery, TaskSummary } from '../../bus/taskLists.js';
import type { TraceContext } from '../../bus/tracing.js';
import { isTerminal, type NewTask } from '../../bus/taskStore.js';
import { refuseWhileDraining } from '../draining.js';
import { askerOf, ownerOf } from '../principal.js';
import { traceRequest } from '../requestTrace.js';
import { errorResponses, MAX_BATCH_TASKS, Nullable, TaskParams, Uuid } from '../schemas.js';
import type { Api, ApiServices } from '../services.js';
import type { Asker } from '../../bus/tenants.js';
import { randomIds } from '../taskIds.js';
import { spansOfTasks } from '../taskTraces.js';
import { taskFilter } from './lists.js';

const DEFAULT_LIMIT = 1_000;
/** Tasks whose arguments are in memory together. */
const TASKS_AT_ONCE = 50;
const PAGE = 500;
/** An answer must not be long in coming: after this no further page is looked at. */
const LOOK_MS = 5_000;

/** Failed and cancelled tasks, submitted anew as they were: same function, arguments and options, a new id. */
export function runAgainRoutes(app: Api, services: ApiServices): void {
  const { lists, submitter } = services;

  app.post(
    '/tasks/:task_id/run_again',
    {
      config: { scope: 'operate', audit: 'task.run_again' },
      onRequest: refuseWhileDraining(services),
      schema: {
        operationId: 'runTaskAgain',
        tags: ['tasks'],
        summary: 'Run a failed or cancelled task again',
        description: 'With the same function, arguments and options, under a new id, every time it is asked for.',
        params: TaskParams,
        response: {
          200: Type.Object({ task_id: Uuid('Id of the new task'), again_of: Uuid('Id of the task') }),
          ...errorResponses(
            'VALIDATION_FAILED',
            'TASK_UNKNOWN',
            'NOT_REPEATABLE',
            'QUOTA_EXCEEDED',
            'STORE_UNAVAILABLE',
            'SHUTTING_DOWN',
          ),
        },
      },
    },
    async (request, reply) => {
      const { params, principal, id: requestId } = request;
      const asker = askerOf(principal);
      const taskId = params.task_id.toLowerCase();
      const [submission] = await lists.readSubmissions([taskId], asker);
      if (!submission) throw new PlatformError('TASK_UNKNOWN', `There is no task ${taskId}.`);
      const { state, task } = submission;
      if (!isTerminal(state))
        throw new PlatformError('NOT_REPEATABLE', `Task ${taskId} has not ended: it is ${state}.`);
      if (!task) {
        throw new PlatformError('NOT_REPEATABLE', `Task ${taskId} has completed: its arguments are not kept any more.`);
      }
      const newTaskId = randomIds();
      const trace = traceRequest(services.tracer, request, reply, await spansOfTasks(services, [taskId]));
      await submitter.submit([{ ...task, taskId: newTaskId, ...(trace !== undefined && { trace }) }], requestId);
      await lists.noteRunAgain([{ taskId, newTaskId }], false, asker);
      return { task_id: newTaskId, again_of: taskId };
    },
  );

  app.post(
    '/tasks/run_again',
    {
      config: { scope: 'operate', audit: 'tasks.run_again' },
      onRequest: refuseWhileDraining(services),
      schema: {
        operationId: 'runTasksAgain',
        tags: ['tasks'],
        summary: 'Run failed tasks again, many at once',
        description: `The newest first, those that were run again before left out. \`failure: "Cancelled"\` runs cancelled ones. When \`cursor\`
is not null there may be more: send it along with the same request, until it is null. A request looks for ${LOOK_MS / 1000} seconds
at most; without a cursor it begins anew, and passes over what was run again.`,
        body: Type.Object({
          ...taskFilter,
          limit: Type.Optional(
            Type.Integer({
              ...{ minimum: 1, maximum: MAX_BATCH_TASKS, examples: [DEFAULT_LIMIT] },
              description: `Most tasks to run; ${DEFAULT_LIMIT} when absent.`,
            }),
          ),
          cursor: Type.Optional(
            Type.String({ maxLength: 200, description: 'What the answer before gave as `cursor`.' }),
          ),
        }),
        response: {
          200: Type.Object({
            count: Type.Integer({ description: 'How many run again' }),
            task_ids: Type.Array(Type.String(), { description: 'The new ids' }),
            group_id: Uuid('Group of the new tasks'),
            cursor: Nullable(Type.String()),
          }),
          ...errorResponses(
            ...([
              'VALIDATION_FAILED',
              'UNSUPPORTED_MEDIA_TYPE',
              'QUOTA_EXCEEDED',
              'STORE_UNAVAILABLE',
              'SHUTTING_DOWN',
            ] as const),
          ),
        },
      },
    },
    async (request, reply) => {
      const { body, principal } = request;
      const asker = askerOf(principal);
      const links: TraceContext[] = [];
      const trace = traceRequest(services.tracer, request, reply, links);
      const limit = body.limit ?? DEFAULT_LIMIT;
      const filter = {
        ...(body.failure === undefined && { states: ['failed'] as const }),
        ...(body.failure !== undefined && { failureType: body.failure }),
        ...(body.function !== undefined && { functionId: body.function.toLowerCase() }),
      };
      const taskIds: string[] = [];
      let { cursor } = body;
      const untilMs = performance.now() + LOOK_MS;
      do {
        const room = limit - taskIds.length;
        const query: TaskQuery = {
          ...filter,
          // The first page has no cursor that leads back to its beginning: all of it must have room.
          limit: cursor === undefined ? Math.min(PAGE, room) : PAGE,
          ...(cursor !== undefined && { cursor }),
        };
        const page = await lists.listTasks(query, asker);
        const found = await notRunAgain(services, page.items);
        const fresh = found.slice(0, room);
        for (let from = 0; from < fresh.length; from += TASKS_AT_ONCE) {
          const batch = fresh.slice(from, from + TASKS_AT_ONCE);
          // To the newest: a span has not room for all.
          if (trace !== undefined && links.length === 0) links.push(...(await spansOfTasks(services, batch)));
          taskIds.push(...(await runAgain(services, batch, { asker, requestId: request.id, trace })));
        }
        if (found.length > room) break; // Who goes on begins with this page, and passes over what ran again.
        ({ cursor } = page);
      } while (cursor !== undefined && taskIds.length < limit && performance.now() < untilMs);
      const groupId = randomIds();
      request.audited = { group_id: groupId, tasks: taskIds.length };
      await services.groups.append(groupId, { taskIds, final: true, keepMs: 0 }, ownerOf(principal));
      return { count: taskIds.length, task_ids: taskIds, group_id: groupId, cursor: cursor ?? null };
    },
  );
}

/** Those that have not been run again, or whose second run was noted and then, for a crash, never submitted. */
async function notRunAgain({ store }: ApiServices, tasks: readonly TaskSummary[]): Promise<string[]> {
  const states = await store.readStatuses(tasks.map(({ runAgainAs, taskId }) => runAgainAs ?? taskId));
  return tasks
    .filter(({ runAgainAs }, index) => runAgainAs === undefined || states[index] === undefined)
    .map(({ taskId }) => taskId);
}

/** Each once, however often this is asked for and wherever it stops: the new id is noted first, and a repeat submits under that. */
async function runAgain(
  { lists, submitter }: ApiServices,
  taskIds: string[],
  { asker, requestId, trace }: { asker: Asker; requestId: string; trace: string | undefined },
): Promise<string[]> {
  const submissions = await lists.readSubmissions(taskIds, asker);
  const notes = taskIds.map((taskId) => ({ taskId, newTaskId: randomIds() }));
  const noted = await lists.noteRunAgain(notes, true, asker);
  const tasks = submissions.flatMap((submission, index): NewTask[] => {
    const taskId = noted[index];
    return submission?.task && taskId !== undefined
      ? [{ ...submission.task, taskId, ...(trace !== undefined && { trace }) }]
      : [];
  });
  await submitter.submit(tasks, requestId);
  return tasks.map(({ taskId }) => taskId);
}
