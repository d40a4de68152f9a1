import { type Static, Type } from '@fastify/type-provider-typebox';
import { FAILURE_TYPES } from '../../bus/messages.js';
import type { FunctionRuns } from '../../bus/functionRuns.js';
import type { TaskQuery } from '../../bus/taskLists.js';
import { TASK_STATES } from '../../bus/taskStore.js';
import { FunctionNames } from '../functionNames.js';
import { FunctionStory, functionStory } from '../functionStory.js';
import { askerOf } from '../principal.js';
import { queryValues } from '../queryValues.js';
import { errorResponses, Nullable, Uuid, UUID_PATTERN } from '../schemas.js';
import type { Api, ApiServices } from '../services.js';
import { STATUSES, statusOf } from '../taskStatus.js';
import { summaryStory, TaskSummaryStory } from '../taskStory.js';

const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 50;

const paging = {
  limit: Type.Optional(
    Type.Integer({
      ...{ minimum: 1, maximum: MAX_PAGE, examples: [DEFAULT_PAGE] },
      description: `Most items of the page; ${DEFAULT_PAGE} when absent.`,
    }),
  ),
  cursor: Type.Optional(
    Type.String({ maxLength: 200, description: 'What the page before gave as `cursor`; absent for the first.' }),
  ),
};
const Cursor = Nullable(
  Type.String({ description: 'For the next page; null at the end of the list. A page with a cursor may be empty.' }),
);

export const taskFilter = {
  failure: Type.Optional(
    Type.Unsafe<(typeof FAILURE_TYPES)[number]>({
      ...{ type: 'string', enum: [...FAILURE_TYPES] },
      description: 'Only tasks that failed so; Cancelled for cancelled ones.',
    }),
  ),
  function: Type.Optional(Uuid('Only tasks of this function')),
};
/** Ids in one query: with the rest of a request they fit into what a server takes of headers. */
const MAX_IDS = 100;
const IDS_PATTERN = `^${UUID_PATTERN.slice(1, -1)}(,${UUID_PATTERN.slice(1, -1)})*$`;
const TaskListQuery = Type.Object({
  ids: Type.Optional(
    Type.String({
      ...{ pattern: IDS_PATTERN, maxLength: MAX_IDS * 37 },
      description: `Only these tasks, at most ${MAX_IDS}, separated by commas, in this order, without those that are not there; \`status\` and \`function\` choose among them.`,
    }),
  ),
  status: Type.Optional(
    Type.Unsafe<(typeof STATUSES)[number]>({
      ...{ type: 'string', enum: [...STATUSES] },
      description: 'Only tasks of this status.',
    }),
  ),
  ...taskFilter,
  ...paging,
});

/** Lists of tasks and functions, in pages. */
export function listRoutes(app: Api, services: ApiServices): void {
  const { lists, store } = services;
  const names = new FunctionNames(store);

  app.get(
    '/tasks',
    {
      config: { scope: 'read' },
      preValidation: queryValues({ numbers: ['limit'] }),
      schema: {
        operationId: 'listTasks',
        tags: ['tasks'],
        summary: 'Tasks, newest first',
        description: `By the time they were accepted; failed or cancelled ones alone by the time they ended. A page is a bounded amount of work:
under a filter that few tasks match, pages may be empty and go on. Tasks that come meanwhile shift nothing.`,
        querystring: TaskListQuery,
        response: {
          200: Type.Object({ tasks: Type.Array(TaskSummaryStory), cursor: Cursor }),
          ...errorResponses('VALIDATION_FAILED', 'STORE_UNAVAILABLE'),
        },
      },
    },
    async ({ query, principal }) => {
      const { items, cursor } = await lists.listTasks(taskQuery(query), askerOf(principal));
      const nameOf = await names.of(items.map(({ functionId }) => functionId));
      return { tasks: items.map((task) => summaryStory(task, nameOf.get(task.functionId))), cursor: cursor ?? null };
    },
  );

  app.get(
    '/functions',
    {
      config: { scope: 'read' },
      preValidation: queryValues({ numbers: ['limit'] }),
      schema: {
        operationId: 'listFunctions',
        tags: ['functions'],
        summary: 'Functions, newest first',
        querystring: Type.Object(paging),
        response: {
          200: Type.Object({ functions: Type.Array(FunctionStory), cursor: Cursor }),
          ...errorResponses('VALIDATION_FAILED', 'STORE_UNAVAILABLE'),
        },
      },
    },
    async ({ query, principal }) => {
      const limit = query.limit ?? DEFAULT_PAGE;
      const { items, cursor } = await lists.listFunctions(limit, query.cursor, askerOf(principal));
      const runs = await store.readFunctionRuns(items.map(({ functionId }) => functionId));
      const stories = items.map((record, index) => functionStory(record, runs[index] as FunctionRuns));
      return { functions: stories, cursor: cursor ?? null };
    },
  );
}

function taskQuery(query: Static<typeof TaskListQuery>): TaskQuery {
  const { ids, status, failure, limit, cursor } = query;
  return {
    limit: limit ?? DEFAULT_PAGE,
    ...(ids !== undefined && { taskIds: ids.toLowerCase().split(',') }),
    ...(status && { states: TASK_STATES.filter((state) => statusOf(state) === status) }),
    ...(query.function !== undefined && { functionId: query.function.toLowerCase() }),
    ...(failure && { failureType: failure }),
    ...(cursor !== undefined && { cursor }),
  };
}
