import { Type } from '@fastify/type-provider-typebox';
import { PlatformError } from '../../bus/errors.js';
import { cancelTasks } from '../cancelTasks.js';
import { askerOf } from '../principal.js';
import { traceRequest } from '../requestTrace.js';
import { errorResponses, StatusSchema, TaskParams, Uuid } from '../schemas.js';
import type { Api, ApiServices } from '../services.js';
import type { TaskRecord } from '../../bus/taskStore.js';
import { statusOf } from '../taskStatus.js';
import { TaskStory, taskStory } from '../taskStory.js';
import { isAlive } from '../connectedWorkers.js';
import { waitingFor, type WaitingFor } from '../waitingFor.js';

/** Most tasks of one request to cancel: one script of the store. */
const MAX_CANCEL_TASKS = 1_000;

/** One task beyond the course: its story, its end before time. */
export function taskRoutes(app: Api, services: ApiServices): void {
  storyRoute(app, services);
  cancelRoute(app, services);
  cancelManyRoute(app, services);
}

function storyRoute(app: Api, services: ApiServices): void {
  const { store } = services;
  app.get(
    '/tasks/:task_id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getTask',
        tags: ['tasks'],
        summary: "A task's whole story",
        description: 'State, attempts, times, run time, memory, why it waits or failed, and every transition it made.',
        params: TaskParams,
        response: { 200: TaskStory, ...errorResponses('VALIDATION_FAILED', 'TASK_UNKNOWN', 'STORE_UNAVAILABLE') },
      },
    },
    async ({ params, principal }) => {
      const task = await store.readTask(params.task_id.toLowerCase(), askerOf(principal));
      return task ? taskStory(task, await whyItWaits(task, services)) : throwUnknown(params.task_id);
    },
  );
}

function cancelRoute(app: Api, services: ApiServices): void {
  app.post(
    '/tasks/:task_id/cancel',
    {
      config: { scope: 'submit', audit: 'task.cancel' },
      schema: {
        operationId: 'cancelTask',
        tags: ['tasks'],
        summary: 'Cancel a task',
        description: 'Also while it runs: its process is ended. Cancelling a task that has ended changes nothing.',
        params: TaskParams,
        response: {
          200: Type.Object({
            task_id: Uuid('Id of the task'),
            cancelled: Type.Boolean({ description: 'Whether this request is what ended it' }),
            status: StatusSchema,
          }),
          ...errorResponses('VALIDATION_FAILED', 'TASK_UNKNOWN', 'STORE_UNAVAILABLE'),
        },
      },
    },
    async (request, reply) => {
      const { params, principal } = request;
      const taskId = params.task_id.toLowerCase();
      const trace = traceRequest(services.tracer, request, reply);
      const [verdict] = await cancelTasks(services, [taskId], askerOf(principal), trace);
      if (!verdict?.cancelled) {
        if (verdict?.reason !== 'terminal') return throwUnknown(taskId);
        return { task_id: taskId, cancelled: false, status: statusOf(verdict.state) };
      }
      return { task_id: taskId, cancelled: true, status: 'CANCELLED' as const };
    },
  );
}

function cancelManyRoute(app: Api, services: ApiServices): void {
  app.post(
    '/tasks/cancel',
    {
      config: { scope: 'submit', audit: 'tasks.cancel' },
      schema: {
        operationId: 'cancelTasks',
        tags: ['tasks'],
        summary: 'Cancel many tasks',
        description: 'Each as by POST /tasks/{task_id}/cancel. Ids that are not stored are passed over.',
        body: Type.Object({
          task_ids: Type.Array(Uuid('Id of a task'), { minItems: 1, maxItems: MAX_CANCEL_TASKS }),
        }),
        response: {
          200: Type.Object({
            cancelled: Type.Integer({ description: 'Tasks that this request ended' }),
            ended_before: Type.Integer({ description: 'Tasks that had ended, in whichever way' }),
            unknown: Type.Integer({ description: 'Ids that are not stored' }),
          }),
          ...errorResponses('VALIDATION_FAILED', 'STORE_UNAVAILABLE'),
        },
      },
    },
    async (request, reply) => {
      const { body, principal } = request;
      const verdicts = await cancelTasks(
        services,
        body.task_ids.map((taskId) => taskId.toLowerCase()),
        askerOf(principal),
        traceRequest(services.tracer, request, reply),
      );
      const cancelled = verdicts.filter((verdict) => verdict.cancelled).length;
      request.audited = { tasks: body.task_ids.length, cancelled };
      const unknown = verdicts.filter((verdict) => !verdict.cancelled && verdict.reason !== 'terminal').length;
      return { cancelled, ended_before: verdicts.length - cancelled - unknown, unknown };
    },
  );
}

function throwUnknown(taskId: string): never {
  throw new PlatformError('TASK_UNKNOWN', `There is no task ${taskId}.`);
}

async function whyItWaits(task: TaskRecord, { store, lists }: ApiServices): Promise<WaitingFor | null> {
  if (task.state === 'blocked') {
    const { dependsOn = [] } = task;
    const states = await store.readStatuses(dependsOn);
    const uncompleted = dependsOn.filter((_, index) => states[index] !== 'completed');
    return waitingFor(task, { workers: [], dispatchers: [], ahead: undefined, uncompleted });
  }
  if (task.state !== 'queued') return waitingFor(task, { workers: [], dispatchers: [], ahead: undefined });
  const [workers, dispatchers, ahead] = await Promise.all([
    store.readWorkers(),
    store.readDispatchers(),
    lists.countAhead(task),
  ]);
  return waitingFor(task, { workers: workers.filter(isAlive), dispatchers: dispatchers.filter(isAlive), ahead });
}
