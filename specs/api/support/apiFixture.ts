import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { buildApp } from '../../../api/app.js';
import type { ApiDependencies } from '../../../api/services.js';
import { LiveOutput } from '../../../api/logs/liveOutput.js';
import { PlatformMetrics } from '../../../api/metrics/platformMetrics.js';
import { SettledTasks, type SettledTasksOptions } from '../../../api/settledTasks.js';
import type { TaskRef } from '../../../bus/messages.js';
import { connectRedis } from '../../../bus/redis/connection.js';
import { RedisApiKeys } from '../../../bus/redis/redisApiKeys.js';
import { RedisGroupStore } from '../../../bus/redis/redisGroupStore.js';
import { RedisIdempotencyStore } from '../../../bus/redis/redisIdempotencyStore.js';
import { RedisTaskLists } from '../../../bus/redis/redisTaskLists.js';
import { RedisTaskStore } from '../../../bus/redis/redisTaskStore.js';
import type { ClaimedTask, Settlement } from '../../../bus/taskStore.js';
import type { MachineName } from '../../../bus/transitionLog.js';
import { type SpecServer, startRedis } from '../../support/servers.js';
import { synced } from '../../support/synced.js';

/** `dill.dumps(...)` of something small: `((5,), {})` and such; what it is makes no difference to the API. */
export const PICKLE = Buffer.from('80049507000000000000004b0585947d94862e', 'hex');
export const PAYLOAD = `${PICKLE.toString('base64')}\n`;
export const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000';

export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: Record<string, unknown>;
  text: string;
  bytes: Buffer;
}

export interface ApiFixture {
  app: FastifyInstance;
  redis: SpecServer;
  store: RedisTaskStore;
  groupStore: RedisGroupStore;
  apiKeys: RedisApiKeys;
  settled: SettledTasks;
  /** What the app told its surroundings, in order. */
  announced: {
    queued: number[];
    cancelled: TaskRef[];
    drains: string[];
    transitions: [MachineName, string, string, string, string][];
  };
  /** Log lines of the app, parsed. */
  logged: Record<string, unknown>[];
  /** Set by a spec to play a dependency that is away, or a process that was told to stop. */
  state: { redis: boolean; nats: boolean; draining: boolean };
  get: (url: string, headers?: Record<string, string>) => Promise<Answer>;
  /** `body`: JSON unless it is a text or bytes. */
  post: (url: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>;
  /** Registers a function and answers its id. */
  functionId: () => Promise<string>;
  /** Submits one task, with more fields if given, and answers its id. */
  submit: (more?: Record<string, unknown>) => Promise<string>;
  /** Does what a dispatcher does: claims all that is queued. */
  claim: () => Promise<ClaimedTask[]>;
  /** Does what a dispatcher does: ends a claimed task, without telling anybody. */
  settle: (task: ClaimedTask, ending?: Partial<Settlement>) => Promise<void>;
  /** The same for many, and tells the API as an event would. */
  finish: (tasks: ClaimedTask[], payload?: Buffer) => Promise<void>;
  /** Ends Redis by SIGKILL; all that it has answered is there when it comes back. */
  killRedis: () => Promise<void>;
  stop: () => Promise<void>;
}

export type FixtureOptions = Partial<Omit<ApiDependencies, 'config'>> & {
  config?: Partial<ApiDependencies['config']>;
  /** Of another fixture: two APIs on one Redis, or one after the other. */
  redis?: SpecServer;
  settledOptions?: Partial<SettledTasksOptions>;
};

/** The API on a real Redis of its own, without the rest of the platform: specs play the dispatcher. */
export async function startApi(options: FixtureOptions = {}): Promise<ApiFixture> {
  const { settledOptions, config, redis: sharedRedis, ...dependencies } = options;
  const redis = sharedRedis ?? (await startRedis());
  const connection = connectRedis(redis.url, { lost: () => undefined, restored: () => undefined });
  if (connection.status !== 'ready') await new Promise((resolve) => connection.once('ready', resolve));
  const resultTtlSeconds = 600;
  const store = new RedisTaskStore(connection, { shards: 1, leaseMs: 15_000, resultTtlSeconds });
  const groupStore = new RedisGroupStore(connection, { resultTtlSeconds });
  const idempotencyStore = new RedisIdempotencyStore(connection, { resultTtlSeconds });
  const apiKeys = new RedisApiKeys(connection);
  const settled = new SettledTasks({ store, ...settledOptions });
  const announced: ApiFixture['announced'] = { queued: [], cancelled: [], drains: [], transitions: [] };
  const logged: ApiFixture['logged'] = [];
  const state: ApiFixture['state'] = { redis: true, nats: true, draining: false };
  const log = pino(
    { level: 'info' },
    { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const app = await buildApp({
    store,
    lists: new RedisTaskLists(connection, { shards: 1 }),
    groupStore,
    idempotencyStore,
    apiKeys,
    settled,
    live: new LiveOutput(() => undefined),
    metrics: new PlatformMetrics({
      self: { kind: 'api', id: 'api-1' },
      own: () => Promise.resolve([]),
      platform: () => Promise.resolve([]),
      ask: () => false,
    }),
    log,
    announceQueued: (count) => announced.queued.push(count),
    announceCancelled: (refs) => announced.cancelled.push(...refs),
    announceDrain: (kind, name) => announced.drains.push(`${kind} ${name}`),
    transition: (machine, id, from, event, to) => announced.transitions.push([machine, id, from, event, to]),
    config: {
      ...{
        maxBodyBytes: 1024 * 1024,
        maxArgumentBytes: 1024 * 1024,
        maxAttempts: 3,
        apiKeysRequired: false,
        apiHostNames: [],
      },
      ...{ maxConnections: 1_000, maxConnectionsPerAddress: 1_000, ...config },
    },
    isReady: () => ({ redis: state.redis, nats: state.nats }),
    isDraining: () => state.draining,
    version: '1.2.3',
    ...dependencies,
  });

  const request = async (method: 'GET' | 'POST', url: string, body?: unknown, headers = {}): Promise<Answer> => {
    const payload =
      body === undefined
        ? {}
        : { payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body) };
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    const reply = await app.inject({ method, url, ...payload, headers: { ...json, ...headers } });
    const isJson = String(reply.headers['content-type']).includes('application/json');
    const parsed = isJson ? reply.json<Record<string, unknown>>() : {};
    return {
      status: reply.statusCode,
      headers: reply.headers,
      body: parsed,
      text: reply.body,
      bytes: reply.rawPayload,
    };
  };
  const post: ApiFixture['post'] = (url, body, headers) => request('POST', url, body, headers);
  const functionId = async (): Promise<string> =>
    String((await post('/register_function', { name: 'double', payload: PAYLOAD })).body['function_id']);

  return {
    ...{ app, redis, store, apiKeys, groupStore, settled, announced, logged, state, post, functionId },
    get: (url, headers) => request('GET', url, undefined, headers),
    submit: async (more) => {
      const answer = await post('/execute_function', { function_id: await functionId(), payload: PAYLOAD, ...more });
      return String(answer.body['task_id']);
    },
    claim: async () => (await store.claim('dispatcher-1', 500)).claimed,
    settle: async ({ taskId, fence }, ending = {}) => {
      const [verdict] = await store.settle([{ ...SETTLEMENT, taskId, fence, ...ending }]);
      if (verdict === 'stale' || verdict === 'duplicate') throw new Error(`settled as ${verdict}`);
    },
    finish: async (tasks, payload = PICKLE) => {
      await store.settle(tasks.map(({ taskId, fence }) => ({ ...SETTLEMENT, taskId, fence, payload })));
      settled.onSettled(tasks.map(({ taskId }) => ({ taskId, state: 'completed', payload })));
    },
    killRedis: async () => {
      await synced(connection);
      await redis.kill('SIGKILL');
    },
    stop: async () => {
      await app.close();
      await store.close();
      if (!sharedRedis) await redis.stop();
    },
  };
}

const SETTLEMENT: Omit<Settlement, 'taskId' | 'fence'> = {
  event: 'task.succeeded',
  payload: PICKLE,
  worker: 'worker-1',
  startedAtMs: Date.now(),
  runTimeUs: 1500,
  peakMemoryKib: 20_480,
  output: Buffer.alloc(0),
  outputTruncated: false,
};
