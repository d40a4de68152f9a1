import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { FsyncPolicy } from '../../../bus/config.js';
import { connectRedis } from '../../../bus/redis/connection.js';
import { shardKeys, shardOf, type ShardKeys } from '../../../bus/redis/keys.js';
import { RedisTaskStore, type RedisTaskStoreOptions } from '../../../bus/redis/redisTaskStore.js';
import type { ClaimedTask, NewTask, RetryPolicy, Settlement } from '../../../bus/taskStore.js';
import { type SpecServer, startRedis } from '../../support/servers.js';
import { synced } from '../../support/synced.js';
import { until } from './until.js';

const LEASE_MS = 15_000;

/** A store on a redis-server of its own, and a look behind it. */
export class StoreFixture {
  static async start(options: Partial<RedisTaskStoreOptions> = {}, fsync?: FsyncPolicy): Promise<StoreFixture> {
    const server = await startRedis(fsync);
    const fixture = new StoreFixture(server, { shards: 1, leaseMs: LEASE_MS, resultTtlSeconds: 3_600, ...options });
    await fixture.connected();
    return fixture;
  }

  readonly store: RedisTaskStore;
  /** Straight to the server: what specs check must not come through what they check. */
  readonly redis: Redis;
  readonly events: string[] = [];

  private constructor(
    readonly server: SpecServer,
    readonly options: RedisTaskStoreOptions,
  ) {
    const events = {
      lost: () => this.events.push('lost'),
      restored: () => this.events.push('restored'),
    };
    this.store = new RedisTaskStore(connectRedis(server.url, events), options);
    this.redis = connectRedis(server.url, { lost: () => undefined, restored: () => undefined });
  }

  /** Another store on the same server, such as a second dispatcher's, or one with other settings. */
  async another(options: Partial<RedisTaskStoreOptions> = {}): Promise<RedisTaskStore> {
    const connection = connectRedis(this.server.url, { lost: () => undefined, restored: () => undefined });
    const store = new RedisTaskStore(connection, { ...this.options, ...options });
    await until(() => store.ping());
    return store;
  }

  async connected(): Promise<void> {
    await until(() => Promise.all([this.store.ping(), this.redis.ping()]));
  }

  /** All that was written until now outlives a kill. */
  synced(): Promise<void> {
    return synced(this.redis);
  }

  async empty(): Promise<void> {
    await this.redis.flushall();
  }

  async stop(): Promise<void> {
    await this.store.close();
    this.redis.disconnect();
    await this.server.stop();
  }

  shardOf(taskId: string): ShardKeys {
    return shardKeys(shardOf(taskId, this.options.shards));
  }

  /** The key of a task's hash. */
  key(taskId: string): string {
    return this.shardOf(taskId).taskPrefix + taskId;
  }

  /** Accepts tasks and claims them. */
  async claimed(...tasks: NewTask[]): Promise<ClaimedTask[]> {
    await this.store.submit(tasks);
    const { claimed } = await this.store.claim('dispatcher', tasks.length);
    return tasks.map(({ taskId }) => claimed.find((task) => task.taskId === taskId)!);
  }

  /** As if so much time had passed in which nobody renewed or reaped: nobody waits for it, and no slow machine takes longer. */
  async pass(ms: number): Promise<void> {
    const { epoch, leases } = this.shardOf(randomUUID());
    if (await this.redis.hexists(epoch, 'last')) await this.redis.hincrby(epoch, 'last', -ms);
    for (const taskId of await this.redis.zrange(leases, '0', '-1')) await this.redis.zincrby(leases, -ms, taskId);
  }

  /** As if the lease of a running task had run out. */
  async expireLease(taskId: string): Promise<void> {
    await this.redis.zadd(this.shardOf(taskId).leases, 'XX', 1, taskId);
  }

  /** As if the delay of a delayed or retrying task were over. */
  async makeDue(taskId: string): Promise<void> {
    await this.redis.zadd(this.shardOf(taskId).delayed, 'XX', 1, taskId);
  }
}

export function newTask(task: Partial<NewTask> = {}): NewTask {
  return {
    taskId: randomUUID(),
    functionId: '0123abcd-0000-8000-8000-000000000000',
    arguments: Buffer.from('arguments'),
    priority: 'normal',
    maxAttempts: 3,
    timeoutMs: 0,
    delayMs: 0,
    ...task,
  };
}

export function settlement(task: { taskId: string; fence: string }, more: Partial<Settlement> = {}): Settlement {
  return {
    taskId: task.taskId,
    fence: task.fence,
    event: 'task.succeeded',
    payload: Buffer.from('value'),
    worker: 'w1',
    startedAtMs: 1_700_000_000_000,
    runTimeUs: 1_500,
    peakMemoryKib: 2_048,
    output: Buffer.alloc(0),
    outputTruncated: false,
    ...more,
  };
}

export const crashed = (signal = 'SIGKILL'): Partial<Settlement> => ({
  event: 'task.interrupted',
  payload: Buffer.alloc(0),
  failure: { type: 'ProcessCrashed', message: `the process was ended by ${signal}`, signal },
});

export const raised = (exception = 'ValueError', bases = ['ValueError', 'Exception']): Partial<Settlement> => ({
  event: 'task.raised',
  payload: Buffer.from('exception'),
  failure: { type: 'UserException', message: 'no', exception, bases },
});

export const retryPolicy = (policy: Partial<RetryPolicy> = {}): RetryPolicy => ({
  maxRetries: 1,
  backoffMs: 60_000,
  backoffFactor: 2,
  maxBackoffMs: 300_000,
  jitter: 0,
  ...policy,
});

/** The error of a promise that must reject. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('It did not reject.');
}
