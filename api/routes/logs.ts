import { Type } from '@fastify/type-provider-typebox';
import { Socket } from 'node:net';
import { PlatformError } from '../../bus/errors.js';
import { accepts } from '../contentTypes.js';
import { followFormat, LOG_FORMATS, type LogFormatName } from '../logs/logFormats.js';
import { jsonOfLines, MAX_JSON_LINES } from '../logs/logJson.js';
import { logSoFar } from '../logs/logSoFar.js';
import { LogStream } from '../logs/logStream.js';
import { askerOf } from '../principal.js';
import { queryValues } from '../queryValues.js';
import { errorResponses, StatusSchema, TaskParams, Uuid } from '../schemas.js';
import { sendStream } from '../sendStream.js';
import type { Api, ApiServices } from '../services.js';
import { statusOf } from '../taskStatus.js';
import { isoTimeSchema } from '../times.js';

const DEFAULT_HEARTBEAT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;

const Line = Type.Object({
  at: isoTimeSchema('When its beginning was printed, by the clock of the worker'),
  stream: Type.Unsafe<'stdout' | 'stderr'>({ type: 'string', enum: ['stdout', 'stderr'] }),
  text: Type.String({ description: 'With the end of the line, `\\n`, where it has one' }),
});

const Log = Type.Object({
  task_id: Uuid('Id of the task'),
  status: StatusSchema,
  attempt: Type.Integer({ description: 'The last attempt, whose output this is; 0 when it has not started' }),
  lines: Type.Array(Line, { description: `In the order in which they were printed; the first ${MAX_JSON_LINES}` }),
  truncated: Type.Boolean({
    description:
      'It printed more than is here: more than is kept (MAX_OUTPUT_BYTES), or more lines than an answer has, which `follow` and ' +
      '`format=text` give whole',
  }),
});

const Query = Type.Object({
  follow: Type.Optional(
    Type.Boolean({ description: 'Stay, and get what is printed as it comes, until the task has ended.' }),
  ),
  format: Type.Optional(
    Type.Unsafe<LogFormatName>({
      type: 'string',
      enum: [...LOG_FORMATS],
      description:
        'json: one object. text: what was printed, as it is. Followed, ndjson (also for json): an object per line, the last with `end`; ' +
        'sse: the same as server-sent events. Absent: by the `Accept` header, else json.',
    }),
  ),
});

/** What a task printed: afterwards, so far, and as it comes. */
export function logRoutes(app: Api, services: ApiServices): void {
  const { store, settled, live, streamHeartbeatMs: heartbeatMs = DEFAULT_HEARTBEAT_MS } = services;
  app.get(
    '/tasks/:task_id/logs',
    {
      config: { scope: 'read' },
      preValidation: queryValues({ booleans: ['follow'] }),
      schema: {
        operationId: 'getTaskLogs',
        tags: ['tasks'],
        summary: 'What a task printed',
        description:
          'Stdout and stderr of its last attempt, line by line, bounded; of a running task what it has printed so far. With `follow` ' +
          'also what it prints from now on: lines `{at, stream, text, attempt}`, at the end `{end: true, reason, status, attempt, ' +
          'truncated}`. `reason` is `complete`, or `closing` when this server stops while the task goes on: then follow again, which begins ' +
          'anew with the first line (as text, the connection breaks instead). A line of a later attempt says that the task was started ' +
          'again. Every ten seconds without any, an empty line (a comment among server-sent events) is a sign of life.',
        params: TaskParams,
        querystring: Query,
        response: {
          200: Log,
          ...errorResponses(
            'VALIDATION_FAILED',
            'TASK_UNKNOWN',
            'TOO_MANY_WAITS',
            'STORE_UNAVAILABLE',
            'SHUTTING_DOWN',
          ),
        },
      },
    },
    async (request, reply) => {
      const taskId = request.params.task_id.toLowerCase();
      const task = await store.readTask(taskId, askerOf(request.principal));
      if (!task) throw new PlatformError('TASK_UNKNOWN', `There is no task ${taskId}.`);
      const name = request.query.format ?? acceptedFormat(request);
      // Anything may have been printed: browsers shall not take it for a page.
      reply.header('x-content-type-options', 'nosniff');
      if (request.query.follow === true) {
        const format = followFormat(name);
        const stream = new LogStream({ ...{ taskId, state: task.state, format, store, settled, live, heartbeatMs } });
        keepOpen(request.raw.socket);
        return sendStream(reply, { body: stream.body, contentType: format.contentType });
      }
      const { attempt, pieces, truncated } = await logSoFar(task, { store, live });
      if (name === 'text') {
        reply.type('text/plain; charset=utf-8');
        return Buffer.concat(pieces.map(({ bytes }) => bytes)) as never;
      }
      const lines = await jsonOfLines(pieces);
      const head = JSON.stringify({ task_id: taskId, status: statusOf(task.state), attempt });
      const cut = truncated || !lines.areAll;
      reply.type('application/json; charset=utf-8');
      return `${head.slice(0, -1)},"lines":[${lines.json}],"truncated":${String(cut)}}` as never;
    },
  );
}

function acceptedFormat(request: Parameters<typeof accepts>[0]): LogFormatName {
  if (accepts(request, 'text/event-stream')) return 'sse';
  return accepts(request, 'text/plain') ? 'text' : 'json';
}

/** A task may print nothing for hours: silence is no sign of a dead connection; the system finds those. */
function keepOpen(socket: Socket): void {
  if (!(socket instanceof Socket)) return;
  socket.setTimeout(0);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
}
