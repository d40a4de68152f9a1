import { type Static, Type } from '@fastify/type-provider-typebox';
import { randomUUID } from 'node:crypto';
import { PlatformError } from '../../bus/errors.js';
import { cancelTasks } from '../cancelTasks.js';
import { type HeadersOnly, streamFormat } from '../contentTypes.js';
import { refuseWhileDraining } from '../draining.js';
import { IndexSet, RANGES_PATTERN } from '../groups/indexSet.js';
import type { ResultStream } from '../groups/resultStream.js';
import { FORMATS, STREAM_FORMATS } from '../groups/streamFormats.js';
import { askerOf, ownerOf, type Principal } from '../principal.js';
import { queryValues } from '../queryValues.js';
import { traceRequest } from '../requestTrace.js';
import { errorResponses, Uuid } from '../schemas.js';
import { sendStream } from '../sendStream.js';
import type { Api, ApiServices } from '../services.js';

const MAX_STREAM_SECONDS = 86_400;
const CANCEL_BATCH = 500;

const GroupId = Uuid('Id of a group');
const GroupParams = Type.Object({ group_id: GroupId });
const Count = (description: string) => Type.Integer({ minimum: 0, description });

const Progress = Type.Object({
  group_id: GroupId,
  closed: Type.Boolean({ description: 'Whether nothing will be added any more' }),
  total: Count('Tasks in the group'),
  queued: Count('QUEUED'),
  running: Count('RUNNING'),
  completed: Count('COMPLETED'),
  failed: Count('FAILED'),
  cancelled: Count('CANCELLED'),
  unknown: Count('Not stored: their submission was answered with an error, or their results have expired'),
});

const GROUP_ERRORS = ['VALIDATION_FAILED', 'GROUP_UNKNOWN', 'STORE_UNAVAILABLE'] as const;

/** Groups: tasks that were submitted together, or one request after the other. */
export function groupRoutes(app: Api, services: ApiServices): void {
  createRoute(app, services);
  progressRoute(app, services);
  closeRoute(app, services);
  cancelRoute(app, services);
  resultsRoutes(app, services);
}

function createRoute(app: Api, services: ApiServices): void {
  app.post(
    '/groups',
    {
      config: { scope: 'submit', audit: 'group.create' },
      onRequest: refuseWhileDraining(services),
      schema: {
        operationId: 'createGroup',
        tags: ['groups'],
        summary: 'Make an empty group',
        description: `For clients that submit in many requests and read all results from one stream: open the stream first, with \`follow\`.
A group is kept for a week, and as long as results are, after tasks were last added or it was last looked at. Long-lived clients
begin a new one every 100,000 tasks or so.`,
        response: { 200: Type.Object({ group_id: GroupId }), ...errorResponses('STORE_UNAVAILABLE', 'SHUTTING_DOWN') },
      },
    },
    async ({ principal }) => {
      const groupId = randomUUID();
      await services.groups.append(groupId, { taskIds: [], final: false, keepMs: 0 }, ownerOf(principal));
      return { group_id: groupId };
    },
  );
}

function progressRoute(app: Api, { groups }: ApiServices): void {
  app.get(
    '/groups/:group_id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getGroup',
        tags: ['groups'],
        summary: 'How far a group has come',
        params: GroupParams,
        response: { 200: Progress, ...errorResponses(...GROUP_ERRORS) },
      },
    },
    async ({ params, principal }) => {
      const group = await groups.load(params.group_id.toLowerCase(), ownerOf(principal));
      const open = await groups.readUnended(group);
      const running = open.filter((state) => state === 'running').length;
      const { total, closed, counts } = group;
      const queued = total - group.endedCount - running;
      return { group_id: params.group_id.toLowerCase(), closed, total, queued, running, ...counts };
    },
  );
}

function closeRoute(app: Api, { groups }: ApiServices): void {
  app.post(
    '/groups/:group_id/close',
    {
      config: { scope: 'submit', audit: 'group.close' },
      schema: {
        operationId: 'closeGroup',
        tags: ['groups'],
        summary: 'Say that nothing will be added any more',
        description:
          'Streams that follow the group end when its tasks have. The same as `final` in the last submission.',
        params: GroupParams,
        response: {
          200: Type.Object({ group_id: GroupId, closed: Type.Literal(true) }),
          ...errorResponses(...GROUP_ERRORS),
        },
      },
    },
    async ({ params, principal }) => {
      const groupId = params.group_id.toLowerCase();
      const tenant = ownerOf(principal);
      await groups.load(groupId, tenant);
      await groups.append(groupId, { taskIds: [], final: true, keepMs: 0 }, tenant);
      return { group_id: groupId, closed: true as const };
    },
  );
}

function cancelRoute(app: Api, services: ApiServices): void {
  const { groups } = services;
  app.post(
    '/groups/:group_id/cancel',
    {
      config: { scope: 'submit', audit: 'group.cancel' },
      schema: {
        operationId: 'cancelGroup',
        tags: ['groups'],
        summary: 'Cancel all tasks of a group',
        description: 'Those it has now and that have not ended, also while they run. Tasks can be added afterwards.',
        params: GroupParams,
        response: {
          200: Type.Object({
            group_id: GroupId,
            cancelled: Count('Tasks that this request ended'),
            ended_before: Count('Tasks that had ended, in whichever way'),
          }),
          ...errorResponses(...GROUP_ERRORS),
        },
      },
    },
    async (request, reply) => {
      const { params, principal } = request;
      const group = await groups.load(params.group_id.toLowerCase(), ownerOf(principal));
      const trace = traceRequest(services.tracer, request, reply);
      const { total } = group;
      let cancelled = 0;
      for (let from = 0; from < total;) {
        const { indexes, next } = group.unended(from, CANCEL_BATCH);
        const verdicts = await cancelTasks(
          services,
          indexes.map((index) => group.taskIds[index] ?? ''),
          askerOf(principal),
          trace,
        );
        cancelled += verdicts.filter((verdict) => verdict.cancelled).length;
        indexes.forEach((index, position) => {
          const verdict = verdicts[position];
          if (verdict?.cancelled) group.end(index, 'cancelled');
        });
        from = next;
      }
      return { group_id: params.group_id.toLowerCase(), cancelled, ended_before: total - cancelled };
    },
  );
}

const streamOptions = {
  have: Type.Optional(
    Type.String({
      pattern: RANGES_PATTERN,
      description: 'Positions that the client has and that are left out: the cursor, or ranges of `index` it has seen.',
      examples: ['0-499,502'],
    }),
  ),
  follow: Type.Optional(
    Type.Boolean({
      description: 'Stay for tasks that are added later, until the group is closed. Absent: end when all tasks have.',
    }),
  ),
  wait: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: MAX_STREAM_SECONDS,
      description: 'Longest duration in seconds; 0: what has ended before. Absent: no end.',
    }),
  ),
  format: Type.Optional(
    Type.Unsafe<(typeof STREAM_FORMATS)[number]>({
      type: 'string',
      enum: [...STREAM_FORMATS],
      description: 'Absent: by the `accept` header, else ndjson.',
    }),
  ),
};
const StreamOptions = Type.Object(streamOptions);

const STREAM_DESCRIPTION = `Every result of the group once, as its task ends (those that have ended come first).

- ndjson (\`${FORMATS.ndjson.contentType}\`): a line \`{"index", "task_id", "status", "result"}\` for each; lines
  \`{"heartbeat": {...}}\` at once when there is no result yet and after 10 s of silence, and last \`{"end": {"reason", ...}}\`.
- sse (\`${FORMATS.sse.contentType}\`): events \`results\`, each with a list of the same objects, \`heartbeat\`, and last \`end\`.
- msgpack (\`${FORMATS.msgpack.contentType}\`): frames of 4 bytes length, little-endian, and so many of MessagePack: a list of
  \`[index, task_id, status, result (binary), failure or nil]\`, or a map \`{heartbeat}\` or \`{end}\`.

\`index\` is the place of the task in the group and never changes. \`status\` is that of the task, or UNKNOWN when nothing is stored
under its id. Heartbeat and end tell \`cursor\`, \`delivered\`, \`total\` and \`closed\`. \`reason\`: \`complete\`; \`wait\`: the time is over;
\`closing\`: this API stops, come back.

To go on after a disconnect, through any API and after a restart, send what you have as \`have\`: the ranges of \`index\` that you saw,
such as \`0-499,502\`, and each result comes exactly once. Browsers do so by themselves, by the id of the last event: a cursor of at most 6,000
characters, beyond which results can come again. A stream with nothing left to send is answered 204 to them, which ends their attempts. When
the stream breaks without \`end\`, it was a disconnect.`;

function resultsRoutes(app: Api, services: ApiServices): void {
  const response = {
    200: {
      description: 'Results as they come',
      content: Object.fromEntries(
        Object.values(FORMATS).map(({ contentType }) => [contentType, { schema: Type.String() }]),
      ),
    },
    204: Type.Null({ description: 'To a browser that has everything: nothing is left to stream' }),
    ...errorResponses(...GROUP_ERRORS, 'TOO_MANY_WAITS'),
  };
  const tags = ['groups'];

  app.get(
    '/groups/:group_id/results',
    {
      config: { scope: 'read' },
      exposeHeadRoute: false,
      preValidation: queryValues({ numbers: ['wait'], booleans: ['follow'] }),
      schema: {
        operationId: 'streamResults',
        tags,
        summary: 'Results of a group as they come',
        description: STREAM_DESCRIPTION,
        params: GroupParams,
        querystring: StreamOptions,
        headers: Type.Object({
          'last-event-id': Type.Optional(
            Type.String({ pattern: RANGES_PATTERN, description: 'The same as `have`; browsers send it.' }),
          ),
        }),
        response,
      },
    },
    async (request, reply) => {
      const lastEventId = request.headers['last-event-id'];
      const options = { ...(lastEventId !== undefined && { have: lastEventId }), ...request.query };
      const stream = await openStream(services, request, request.params.group_id, options);
      if (lastEventId === undefined || !stream.isComplete) return sendStream(reply, stream);
      stream.body.destroy();
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/groups/:group_id/results',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'resumeResults',
        tags,
        summary: 'The same, for a long list of what the client has',
        params: GroupParams,
        body: StreamOptions,
        response,
      },
    },
    async (request, reply) =>
      sendStream(reply, await openStream(services, request, request.params.group_id, request.body)),
  );
}

async function openStream(
  { groups, streams }: ApiServices,
  request: HeadersOnly & { principal: Principal },
  groupId: string,
  options: Static<typeof StreamOptions>,
): Promise<ResultStream> {
  const group = await groups.load(groupId.toLowerCase(), ownerOf(request.principal));
  const have = IndexSet.parse(options.have ?? '', group.total);
  if (!have) throw new PlatformError('VALIDATION_FAILED', '`have` must be ranges such as 0-499,502.');
  const format = streamFormat(request, options.format);
  const waitMs = options.wait === undefined ? undefined : options.wait * 1000;
  const stream = { format, have, follow: options.follow ?? false, waitMs };
  return streams.start(group, stream, askerOf(request.principal));
}
