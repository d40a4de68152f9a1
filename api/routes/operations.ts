import { Type } from '@fastify/type-provider-typebox';
import { type ErrorCode, PlatformError } from '../../bus/errors.js';
import type { DispatcherRecord } from '../../bus/taskStore.js';
import { isAlive } from '../connectedWorkers.js';
import { errorResponses, Nullable } from '../schemas.js';
import type { Api, ApiServices } from '../services.js';
import { isoTime, isoTimeSchema, msTimeSchema } from '../times.js';
import { workerRoutes } from './workers.js';

const DRAIN_ERRORS = ['VALIDATION_FAILED', 'STORE_UNAVAILABLE', 'EVENTS_UNAVAILABLE'] as const;

const Dispatcher = Type.Object({
  id: Type.String(),
  state: Type.String({ description: 'running or draining' }),
  mode: Type.String({ description: 'local, push or pull' }),
  workers: Type.Integer({ description: 'Connected to it' }),
  slots: Type.Integer({ description: 'Of its workers together' }),
  in_flight: Type.Integer({ description: 'Tasks that its workers have, running or about to' }),
  unsettled: Type.Integer({ description: 'Results that wait to be recorded' }),
  completed: Type.Integer({ description: 'Ends it has recorded since it started' }),
  failed: Type.Integer({ description: 'Ends it has recorded since it started' }),
  completed_per_s: Type.Number({ description: 'Over the last few seconds' }),
  failed_per_s: Type.Number({ description: 'Over the last few seconds' }),
  started_at: isoTimeSchema('When it started'),
  started_at_ms: msTimeSchema('When it started'),
  heartbeat_at: isoTimeSchema('When it last wrote this'),
  heartbeat_at_ms: msTimeSchema('When it last wrote this'),
});

const Stats = Type.Object({
  at: isoTimeSchema('When this was read'),
  at_ms: msTimeSchema('When this was read'),
  tasks: Type.Object({
    queued: Type.Integer({ description: 'In the queues' }),
    running: Type.Integer({ description: 'Handed to workers' }),
    delayed: Type.Integer({ description: 'Not due yet' }),
    retrying: Type.Integer({ description: 'Waiting for the next try' }),
    blocked: Type.Integer({ description: 'Waiting for other tasks' }),
    completed: Type.Integer({ description: 'Ended so, those included that have expired since' }),
    failed: Type.Integer({ description: 'Ended so, those included that have expired since' }),
    cancelled: Type.Integer({ description: 'Ended so, those included that have expired since' }),
  }),
  failures: Type.Record(Type.String(), Type.Integer(), { description: '`failed` by failure type' }),
  oldest_queued_at_ms: Nullable(msTimeSchema('When that queued task was submitted which was submitted first')),
  queues: Type.Object({ high: Type.Integer(), normal: Type.Integer(), low: Type.Integer() }),
  slots: Type.Object({ total: Type.Integer(), busy: Type.Integer() }),
  workers: Type.Integer(),
  dispatchers: Type.Integer(),
  rates: Type.Object({
    completed_per_s: Type.Number({ description: 'Over the last few seconds' }),
    failed_per_s: Type.Number({ description: 'Over the last few seconds' }),
  }),
});

/** Who runs, how much there is to do, and the means to send somebody away in good order. */
export function operationRoutes(app: Api, services: ApiServices): void {
  workerRoutes(app, services);
  dispatchersRoute(app, services);
  statsRoute(app, services);
  drainRoutes(app, services);
}

function dispatchersRoute(app: Api, { store }: ApiServices): void {
  app.get(
    '/dispatchers',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'listDispatchers',
        tags: ['operations'],
        summary: 'All dispatchers',
        description: 'As they last reported themselves, once a heartbeat.',
        response: { 200: Type.Object({ dispatchers: Type.Array(Dispatcher) }), ...errorResponses('STORE_UNAVAILABLE') },
      },
    },
    async () => {
      const dispatchers = await store.readDispatchers();
      dispatchers.sort((a, b) => a.id.localeCompare(b.id));
      return {
        dispatchers: dispatchers.map((one) => ({
          ...{ id: one.id, state: one.state, mode: one.mode, workers: one.workers, slots: one.slots },
          ...{ in_flight: one.inFlight, unsettled: one.unsettled, completed: one.completed, failed: one.failed },
          ...{ completed_per_s: one.completedPerSecond, failed_per_s: one.failedPerSecond },
          ...{ started_at: isoTime(one.startedAtMs), started_at_ms: one.startedAtMs },
          ...{ heartbeat_at: isoTime(one.heartbeatAtMs), heartbeat_at_ms: one.heartbeatAtMs },
        })),
      };
    },
  );
}

function statsRoute(app: Api, { store, lists }: ApiServices): void {
  app.get(
    '/stats',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'getStats',
        tags: ['operations'],
        summary: 'How much there is to do, and how fast it goes',
        response: { 200: Stats, ...errorResponses('STORE_UNAVAILABLE') },
      },
    },
    async () => {
      const [counts, workers, dispatchers] = await Promise.all([
        lists.countTasks(),
        store.readWorkers(),
        store.readDispatchers(),
      ]);
      const now = Date.now();
      const { queued, failures, oldestQueuedAtMs } = counts;
      const { running, delayed, retrying, blocked, completed, failed, cancelled } = counts;
      const present = workers.filter(isAlive);
      const alive = dispatchers.filter(isAlive);
      const sum = (count: (one: DispatcherRecord) => number): number =>
        alive.reduce((total, one) => total + count(one), 0);
      return {
        at: isoTime(now),
        at_ms: now,
        tasks: {
          queued: queued.high + queued.normal + queued.low,
          ...{ running, delayed, retrying, blocked, completed, failed, cancelled },
        },
        failures: failures,
        oldest_queued_at_ms: oldestQueuedAtMs ?? null,
        queues: queued,
        slots: {
          total: present.reduce((total, { slots }) => total + slots, 0),
          busy: present.reduce((total, worker) => total + worker.running, 0),
        },
        workers: present.length,
        dispatchers: alive.length,
        rates: {
          completed_per_s: sum(({ completedPerSecond }) => completedPerSecond),
          failed_per_s: sum(({ failedPerSecond }) => failedPerSecond),
        },
      };
    },
  );
}

function drainRoutes(app: Api, { store, announceDrain, isReady }: ApiServices): void {
  const drain = (kind: 'worker' | 'dispatcher', name: string): void => {
    // It is the one thing here that an event alone can bring about.
    if (!isReady().nats) throw new PlatformError('EVENTS_UNAVAILABLE', `The ${kind} cannot be told: NATS is away.`);
    announceDrain(kind, name);
  };
  const unknown = (code: ErrorCode, kind: string, name: string): PlatformError =>
    new PlatformError(code, `There is no ${kind} ${name}.`);
  const name = Type.String({ minLength: 1, maxLength: 300 });
  const words =
    'It takes nothing new, gives back what has not started, finishes what runs, and ends, as after SIGTERM.';

  app.post(
    '/workers/:name/drain',
    {
      config: { scope: 'operate', audit: 'worker.drain' },
      schema: {
        operationId: 'drainWorker',
        tags: ['operations'],
        summary: 'Have a worker leave in good order',
        description: words,
        params: Type.Object({ name }),
        response: {
          200: Type.Object({ worker: Type.String(), draining: Type.Literal(true) }),
          ...errorResponses('WORKER_UNKNOWN', ...DRAIN_ERRORS),
        },
      },
    },
    async ({ params }) => {
      const workers = await store.readWorkers();
      if (!workers.some((worker) => worker.name === params.name)) {
        throw unknown('WORKER_UNKNOWN', 'worker', params.name);
      }
      drain('worker', params.name);
      return { worker: params.name, draining: true as const };
    },
  );

  app.post(
    '/dispatchers/:id/drain',
    {
      config: { scope: 'operate', audit: 'dispatcher.drain' },
      schema: {
        operationId: 'drainDispatcher',
        tags: ['operations'],
        summary: 'Have a dispatcher leave in good order',
        description: `${words} Its workers go to another dispatcher, if there is one.`,
        params: Type.Object({ id: name }),
        response: {
          200: Type.Object({ dispatcher: Type.String(), draining: Type.Literal(true) }),
          ...errorResponses('DISPATCHER_UNKNOWN', ...DRAIN_ERRORS),
        },
      },
    },
    async ({ params }) => {
      const dispatchers = await store.readDispatchers();
      if (!dispatchers.some(({ id }) => id === params.id)) {
        throw unknown('DISPATCHER_UNKNOWN', 'dispatcher', params.id);
      }
      drain('dispatcher', params.id);
      return { dispatcher: params.id, draining: true as const };
    },
  );
}
