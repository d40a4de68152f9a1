import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { connectRedis } from '../../bus/redis/connection.js';
import { shardKeys } from '../../bus/redis/keys.js';
import { RedisTaskStore } from '../../bus/redis/redisTaskStore.js';
import type { ClaimedTask, NewTask, Settlement } from '../../bus/taskStore.js';
import { type SpecServer, startRedis } from '../../specs/support/servers.js';
import type { Question } from '../support/question.js';
import { rounds, scaled } from '../support/rounds.js';
import { median, medianRatio } from '../support/statistics.js';

const BUDGET_SECONDS = 40;
const DEEP = 1_000_000;
const SAMPLE = 50_000;
/** What one wire of the platform sends at once under load. */
const BATCH = 256;
/** So many on one server, then as many on the other: some tens of milliseconds, in which the machine is as fast for both. */
const TURN = 10 * BATCH;
const RESULT_TTL_SECONDS = 3_600;
/** Redis rewrites its growing append-only file in a process of its own, which would be measured too. */
const REWRITE_POLL_MS = 200;

const STEPS = ['submit', 'claim', 'settle'] as const;
type Rates = Record<(typeof STEPS)[number], number[]>;

export const queueDepth: Question = {
  name: 'queueDepth',
  title: 'submit, claim and settle with a million tasks queued, against an empty queue',
  usualSeconds: 40,
  ask: async ({ pace, say }) => {
    const depth = scaled(DEEP, pace, 10_000);
    const sample = scaled(SAMPLE, pace, 1_000);
    const [empty, deep] = await Promise.all([Store.start(), Store.start()]);
    try {
      const before = await deep.memoryBytes();
      say(`queueing ${depth} tasks`);
      await deep.submit(depth);
      const bytesPerTask = ((await deep.memoryBytes()) - before) / depth;
      await deep.quiet();

      const rates: Record<'empty' | 'deep', Rates> = { empty: newRates(), deep: newRates() };
      await measureByTurns(empty, deep, sample, { empty: newRates(), deep: newRates() });
      const done = await rounds(pace.rounds, BUDGET_SECONDS * pace.patience, async () => {
        await Promise.all([empty.quiet(), deep.quiet()]);
        await measureByTurns(empty, deep, sample, rates);
      });
      const expires = await empty.allExpire();
      const ratio = (step: (typeof STEPS)[number]) => medianRatio(rates.deep[step], rates.empty[step]);
      return {
        tables: [
          {
            title: `${depth.toLocaleString('en-US')} tasks queued: steps of the task store, tasks/s`,
            columns: ['', 'empty queue', 'deep queue', 'deep / empty'],
            rows: STEPS.map((step) => [step, median(rates.empty[step]), median(rates.deep[step]), ratio(step)]),
            notes: [
              `${done} rounds of ${sample} tasks in batches of ${BATCH}, one caller; ${TURN} by turns on each of two Redis servers (everysec); medians of the turns, ratios within a turn`,
              `${bytesPerTask.toFixed(0)} bytes of Redis memory per small task; finished tasks ${expires ? 'have all' : 'do NOT all have'} a time to live`,
            ],
          },
        ],
        figures: {
          'queueDepth.submitRatio': ratio('submit'),
          'queueDepth.claimRatio': ratio('claim'),
          'queueDepth.settleRatio': ratio('settle'),
          'queueDepth.bytesPerTask': bytesPerTask,
          'queueDepth.finishedExpire': expires ? 1 : 0,
        },
      };
    } finally {
      await Promise.all([empty.stop(), deep.stop()]);
    }
  },
};

const newRates = (): Rates => ({ submit: [], claim: [], settle: [] });

/** Submits, claims and settles `count` tasks in each store, and adds how many a second each turn came to. */
async function measureByTurns(
  empty: Store,
  deep: Store,
  count: number,
  rates: Record<'empty' | 'deep', Rates>,
): Promise<void> {
  const stores = { empty, deep };
  for (const step of STEPS) {
    for (let done = 0; done < count; done += TURN) {
      const tasks = Math.min(TURN, count - done);
      for (const which of ['empty', 'deep'] as const) {
        const begin = performance.now();
        await stores[which][step](tasks);
        rates[which][step].push((tasks / (performance.now() - begin)) * 1000);
      }
    }
  }
}

/** A task store on a Redis of its own. */
class Store {
  private readonly running: ClaimedTask[] = [];
  private lastFinished: string[] = [];

  private constructor(
    private readonly server: SpecServer,
    private readonly redis: Redis,
    private readonly store: RedisTaskStore,
  ) {}

  static async start(): Promise<Store> {
    const server = await startRedis();
    const redis = connectRedis(server.url, { lost: () => undefined, restored: () => undefined });
    if (redis.status !== 'ready') await new Promise((resolve) => redis.once('ready', resolve));
    const options = { shards: 1, leaseMs: 60_000, resultTtlSeconds: RESULT_TTL_SECONDS };
    return new Store(server, redis, new RedisTaskStore(redis, options));
  }

  async submit(count: number): Promise<void> {
    for (let left = count; left > 0; left -= BATCH) {
      await this.store.submit(Array.from({ length: Math.min(BATCH, left) }, newTask));
    }
  }

  /** Has so many of the oldest tasks run next. */
  async claim(count: number): Promise<void> {
    for (let left = count; left > 0;) {
      const { claimed } = await this.store.claim('bench', Math.min(BATCH, left));
      if (claimed.length === 0) throw new Error(`the queue is empty, with ${left} tasks of it still to be claimed`);
      this.running.push(...claimed);
      left -= claimed.length;
    }
  }

  /** Ends so many of those that run, the oldest first. */
  async settle(count: number): Promise<void> {
    const ended = this.running.splice(0, count);
    for (let from = 0; from < count; from += BATCH) {
      await this.store.settle(ended.slice(from, from + BATCH).map(settlement));
    }
    this.lastFinished = ended.map(({ taskId }) => taskId);
  }

  async memoryBytes(): Promise<number> {
    return Number(/used_memory:(\d+)/.exec(await this.redis.info('memory'))?.[1]);
  }

  /** Waits until Redis does nothing by itself. */
  async quiet(): Promise<void> {
    while (/aof_rewrite_in_progress:1|aof_rewrite_scheduled:1/.test(await this.redis.info('persistence'))) {
      await sleep(REWRITE_POLL_MS);
    }
  }

  async allExpire(): Promise<boolean> {
    const { taskPrefix } = shardKeys(0);
    const seconds = await Promise.all(this.lastFinished.map((taskId) => this.redis.ttl(taskPrefix + taskId)));
    return seconds.length > 0 && seconds.every((left) => left > 0 && left <= RESULT_TTL_SECONDS);
  }

  async stop(): Promise<void> {
    await this.store.close();
    await this.server.stop();
  }
}

const FUNCTION_ID = randomUUID();
/** `((5,), {})` */
const ARGUMENTS = Buffer.from('80049507000000000000004b0585947d94862e', 'hex');

const newTask = (): NewTask => ({
  taskId: randomUUID(),
  functionId: FUNCTION_ID,
  arguments: ARGUMENTS,
  priority: 'normal',
  maxAttempts: 3,
  timeoutMs: 0,
  delayMs: 0,
});

const settlement = ({ taskId, fence }: ClaimedTask): Settlement => ({
  taskId,
  fence,
  event: 'task.succeeded',
  payload: ARGUMENTS,
  worker: 'bench',
  startedAtMs: Date.now(),
  runTimeUs: 10,
  peakMemoryKib: 20_000,
  output: Buffer.alloc(0),
  outputTruncated: false,
});
