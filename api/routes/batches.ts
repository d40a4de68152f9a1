import { Type } from '@fastify/type-provider-typebox';
import { PlatformError } from '../../bus/errors.js';
import type { TaskOutcome } from '../../bus/taskStore.js';
import { clientGone } from '../clientGone.js';
import { refuseWhileDraining } from '../draining.js';
import type { ErrorReply } from '../errorReplies.js';
import { newTask } from '../newTask.js';
import { pickleOf } from '../pickleField.js';
import { resultJson } from '../resultJson.js';
import { errorResponses, MAX_BATCH_TASKS, Payload, taskOptions, TaskResult, Uuid, waitSeconds } from '../schemas.js';
import type { Api, ApiServices } from '../services.js';

/** Many tasks in one request: what makes the platform fast. */
export function batchRoutes(app: Api, services: ApiServices): void {
  submitRoute(app, services);
  resultsRoute(app, services);
}

function submitRoute(app: Api, services: ApiServices): void {
  const { knownFunctions, submitter, config } = services;
  app.post(
    '/tasks',
    {
      onRequest: refuseWhileDraining(services),
      schema: {
        operationId: 'submitTasks',
        tags: ['tasks'],
        summary: 'Run a function many times',
        description: 'All tasks are durable when the answer comes. A request with anything wrong in it submits none.',
        body: Type.Object({
          function_id: Uuid('Id that /register_function answered'),
          payloads: Type.Array(Payload('Base64 of `dill.dumps((args, kwargs))`, newlines optional'), {
            minItems: 1,
            maxItems: MAX_BATCH_TASKS,
            description: 'The arguments of one task each',
          }),
          ...taskOptions,
        }),
        response: {
          200: Type.Object({ task_ids: Type.Array(Type.String(), { description: 'In the order of the payloads' }) }),
          ...errorResponses(
            'VALIDATION_FAILED',
            'PAYLOAD_NOT_BASE64',
            'PAYLOAD_NOT_PICKLE',
            'FUNCTION_UNKNOWN',
            'BODY_TOO_LARGE',
            'UNSUPPORTED_MEDIA_TYPE',
            'STORE_UNAVAILABLE',
            'SHUTTING_DOWN',
          ),
        },
      },
    },
    async ({ body }) => {
      const functionId = body.function_id.toLowerCase();
      const tasks = body.payloads.map((payload, index) =>
        newTask(functionId, pickleOf(`payloads[${index}]`, payload), body, config.maxAttempts),
      );
      await knownFunctions.mustExist(functionId);
      await submitter.submit(tasks);
      return { task_ids: tasks.map(({ taskId }) => taskId) };
    },
  );
}

function resultsRoute(app: Api, { settled }: ApiServices): void {
  app.post(
    '/results',
    {
      serializerCompiler: () => (answer: { results: TaskOutcome[] } | ErrorReply) =>
        'results' in answer ? `{"results":[${answer.results.map(resultJson).join(',')}]}` : JSON.stringify(answer),
      schema: {
        operationId: 'getResults',
        tags: ['tasks'],
        summary: 'What many tasks returned',
        description:
          'Answers when all have ended, or when the wait is over; `result` is empty for those that have not ended.',
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
    async ({ body }, reply) => {
      const taskIds = body.task_ids.map((taskId) => taskId.toLowerCase());
      const timeoutMs = (body.wait ?? 0) * 1000;
      const outcomes = await settled.wait(taskIds, { timeoutMs, signal: clientGone(reply) });
      return { results: outcomes.map((outcome, index) => outcome ?? throwUnknown(taskIds[index])) };
    },
  );
}

function throwUnknown(taskId: string | undefined): never {
  throw new PlatformError('TASK_UNKNOWN', `There is no task ${String(taskId)}.`);
}
