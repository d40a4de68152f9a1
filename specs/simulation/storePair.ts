import { expect } from 'chai';
import type { Redis } from 'ioredis';
import type { TaskRef } from '../../bus/messages.js';
import { type ShardKeys, shardKeys, shardOf } from '../../bus/redis/keys.js';
import { RedisTaskStore } from '../../bus/redis/redisTaskStore.js';
import type { Dependency, HandOverHearer, TaskRecord, TaskStore } from '../../bus/taskStore.js';
import { laneOf } from '../../bus/tenants.js';
import { until } from '../store/support/until.js';
import type { Turns } from './memoryTurns.js';
import { MemoryStoreData, type ShardData, type Streams } from './memoryStoreData.js';
import { MemoryTaskStore } from './memoryTaskStore.js';
import { impliedCounts, impliedUsage, realCounts, realUsage } from './storeCounts.js';
import { type Links, modelLinks, realLinks } from './storeLinks.js';

/** `over`: has run out when the next command comes; `lasting`: never runs out. So equality does not hang on a millisecond. */
export type Span = 'over' | 'lasting';
const SPAN_MS: Record<Span, number> = { over: 1, lasting: 1_000_000_000 };
export const delayMs = (span: Span): number => SPAN_MS[span];

/** Between commands: what is over is over, and no two commands share a millisecond on one side and not on the other. */
const BETWEEN_COMMANDS_MS = 3;
/** More than are taken for standstills. */
const MANY_GAPS = 100;
const RESULT_TTL_SECONDS = 10_000;
/** What differs by less is the time that the commands take. */
const TTL_STEP_SECONDS = 1_000;
/** What both sides throw. */
const PAIR_RANDOM = 0.25;
/** Fewer than the commands use, so that some are refused. */
const MAX_REQUIREMENTS = 3;

/** `default`: as while it has limits of its own. */
export const PAIR_TENANTS = ['acme', 'default', 'zoo'];

/** Whose claims may stand. */
export const STANDING_CLAIMANT = 'standing';

/** One attempt, under the fence that each side gave it. */
export interface AttemptPair {
  real: TaskRef;
  model: TaskRef;
}

/** The store on Redis and its model, given the same commands. */
export class StorePair {
  readonly attempts: AttemptPair[] = [];
  /** What submitted tasks wait for, or have waited for. */
  readonly waits: Dependency[] = [];
  /** What claims have got that stood. */
  readonly handedOver: Record<'real' | 'model', Parameters<HandOverHearer['handedOver']>[]> = { real: [], model: [] };
  private readonly data: MemoryStoreData;
  private readonly keys: ShardKeys[];
  private readonly realStores: Record<Span, RedisTaskStore>;
  private readonly modelStores: Record<Span, MemoryTaskStore>;
  private nowMs = 0;
  private nonces = 0;

  private constructor(
    private readonly redis: Redis,
    shards: number,
    readonly taskIds: readonly string[],
  ) {
    this.data = new MemoryStoreData(shards);
    this.keys = Array.from({ length: shards }, (_, index) => shardKeys(index));
    const real = (leaseMs: number): RedisTaskStore =>
      new RedisTaskStore(redis, {
        ...{ shards, leaseMs, resultTtlSeconds: RESULT_TTL_SECONDS },
        maxRequirements: MAX_REQUIREMENTS,
        random: () => PAIR_RANDOM,
        listener: () => redis.duplicate(),
      });
    const model = (leaseMs: number): MemoryTaskStore =>
      new MemoryTaskStore(this.data, {
        leaseMs,
        resultTtlSeconds: RESULT_TTL_SECONDS,
        maxRequirements: MAX_REQUIREMENTS,
        nowMs: () => this.nowMs,
        random: () => PAIR_RANDOM,
      });
    this.realStores = { over: real(SPAN_MS.over), lasting: real(SPAN_MS.lasting) };
    this.modelStores = { over: model(SPAN_MS.over), lasting: model(SPAN_MS.lasting) };
    for (const side of ['real', 'model'] as const) {
      const { lasting } = side === 'real' ? this.realStores : this.modelStores;
      const handedOver: HandOverHearer['handedOver'] = (...handed) => this.handedOver[side].push(handed);
      lasting.standBy(STANDING_CLAIMANT, { handedOver, cutOff: () => undefined });
    }
  }

  static async open(redis: Redis, shards: number, taskIds: readonly string[]): Promise<StorePair> {
    await redis.flushdb();
    const pair = new StorePair(redis, shards, taskIds);
    // With several shards claims do not stand.
    if (shards === 1) await until(async () => (await pair.listeners()) === 1);
    return pair;
  }

  async close(): Promise<void> {
    this.realStores.lasting.hangUp();
    await until(async () => (await this.listeners()) === 0);
  }

  private async listeners(): Promise<number> {
    const [, count] = await this.redis.pubsub('NUMSUB', `handed:${STANDING_CLAIMANT}`);
    return Number(count);
  }

  /** What was handed over in the last step has arrived on both sides. */
  async heard(): Promise<void> {
    await until(() => this.handedOver.real.length >= this.handedOver.model.length);
  }

  /** Gives one command to both, and answers with both answers. */
  async both<T>(lease: Span, command: (store: TaskStore, side: 'real' | 'model') => Promise<T>): Promise<[T, T]> {
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_COMMANDS_MS));
    this.nowMs = Date.now();
    return [await command(this.realStores[lease], 'real'), await command(this.modelStores[lease], 'model')];
  }

  /** Of the claim that comes. */
  nextNonce(): string {
    return `nonce${this.nonces++}`;
  }

  /** Of a claim that was made lately. */
  recentNonce(picked: number): string {
    return `nonce${Math.max(0, this.nonces - 1 - (picked % 4))}`;
  }

  async restart(): Promise<void> {
    this.data.restart();
    // The run id of a server cannot be changed; that which it was last reaped in can.
    for (const { epoch } of this.keys) {
      if ((await this.redis.exists(epoch)) === 1) await this.redis.hset(epoch, 'run_id', 'earlier');
    }
  }

  /** As if a reap had gone before at every turn: what follows enforces leases. */
  async enforceLeases(): Promise<void> {
    for (const { epoch } of this.keys) {
      if ((await this.redis.exists(epoch)) === 1) await this.redis.hset(epoch, { grace: 0, gaps: MANY_GAPS });
    }
    for (const { epoch } of this.data.shards) if (epoch) Object.assign(epoch, { graceMs: 0, gaps: MANY_GAPS });
  }

  /** As if blocked tasks had been looked at last at this time. */
  async lookedAt(ms: number): Promise<void> {
    for (const { blocked } of this.keys) {
      for (const taskId of await this.redis.zrange(blocked, '0', '-1')) await this.redis.zadd(blocked, ms, taskId);
    }
    for (const { blocked } of this.data.shards) {
      for (const taskId of blocked.upTo(Infinity, Infinity)) blocked.add(taskId, ms);
    }
  }

  /** Tasks, results, queues, delayed ones and leases are the same, apart from times and the random half of fences. */
  async expectEqual(): Promise<void> {
    for (const [index, shard] of this.data.shards.entries()) {
      const keys = this.keys[index]!;
      expect(listsOf(shard), `lists of shard ${index}`).to.deep.equal(await this.realLists(keys));
      expect(await realUsage(this.redis, keys), `usage of shard ${index}`).to.deep.equal(impliedUsage(shard));
      expect(await realCounts(this.redis, keys), `counts of shard ${index}`).to.deep.equal(impliedCounts(shard));
      const standing = (await this.redis.hkeys(keys.standing)).sort();
      expect(shard.standing.claimants.sort(), `claims that stand in shard ${index}`).to.deep.equal(standing);
      const links: Links = await realLinks(this.redis, keys, this.taskIds);
      expect(modelLinks(shard, this.taskIds), `dependencies in shard ${index}`).to.deep.equal(links);
    }
    for (const taskId of this.taskIds) {
      const real = await this.realStores.lasting.readTask(taskId);
      const model = await this.modelStores.lasting.readTask(taskId);
      expect(timeless(model), `task ${taskId}`).to.deep.equal(timeless(real));
      expect(this.modelHidden(taskId), `fields of ${taskId}`).to.deep.equal(await this.realHidden(taskId));
      const output = await this.realStores.lasting.readOutput(taskId);
      expect(await this.modelStores.lasting.readOutput(taskId), `output of ${taskId}`).to.deep.equal(output);
    }
    for (const asker of PAIR_TENANTS) {
      const states = await this.realStores.lasting.readStatuses([...this.taskIds], asker);
      const model = await this.modelStores.lasting.readStatuses([...this.taskIds], asker);
      expect(model, `what ${asker} sees`).to.deep.equal(states);
    }
    const [outcomes, modelOutcomes] = await Promise.all(
      [this.realStores, this.modelStores].map((stores) => stores.lasting.readOutcomes([...this.taskIds])),
    );
    expect(modelOutcomes).to.deep.equal(outcomes);
  }

  /** Fields that no read of the store shows, and later steps depend on. */
  private async realHidden(taskId: string): Promise<unknown> {
    const { taskPrefix } = this.keys[shardOf(taskId, this.keys.length)]!;
    const hidden = await this.redis.hmget(taskPrefix + taskId, 'args', 'claim', 'interruptions', 'fence');
    const [args, claim, interruptions, fence] = hidden;
    const ttl = await this.redis.ttl(taskPrefix + taskId);
    const kept = ttl < 0 ? null : Math.round(ttl / TTL_STEP_SECONDS);
    return [args === '' ? null : args, claim?.split(' ')[1] ?? null, interruptions, fence?.split(':')[0] ?? null, kept];
  }

  private modelHidden(taskId: string): unknown {
    const task = this.data.shards[shardOf(taskId, this.keys.length)]!.tasks.get(taskId);
    const { claimant, interruptions, fence, expiresAtMs } = task ?? {};
    const kept = expiresAtMs && Math.round((expiresAtMs - this.nowMs) / 1000 / TTL_STEP_SECONDS);
    const fields = [task?.arguments?.toString(), claimant, interruptions, fence?.split(':')[0], kept];
    return fields.map((field) => field ?? null);
  }

  /** The entries of an index stream. */
  private async indexed(key: string): Promise<string[]> {
    return (await this.redis.xrange(key, '-', '+')).map(([, [, ids]]) => ids ?? '');
  }

  private async streams(key: string, parts: (ids: string) => string[]): Promise<[string, string[]][]> {
    const all = await Promise.all(
      ['', '/', ...PAIR_TENANTS].map(async (whose): Promise<[string, string[]]> => {
        return [whose, (await this.indexed(whose === '' ? key : `${key}:${whose}`)).flatMap(parts)];
      }),
    );
    return all.filter(([, ids]) => ids.length > 0).sort(byName);
  }

  private async realLists(keys: ShardKeys): Promise<Lists> {
    const registry = await this.redis.hkeys(keys.requirements);
    const requirements = registry.filter((one) => one !== '').sort();
    const read = async (key: string): Promise<[string, string[]][]> => {
      const lists = await Promise.all(
        [undefined, ...PAIR_TENANTS]
          .flatMap((tenant) => ['', ...requirements].map((requirement) => laneOf(tenant, requirement)))
          .sort()
          .map(async (one): Promise<[string, string[]]> => {
            return [one, await this.redis.lrange(one === '' ? key : `${key}:${one}`, 0, -1)];
          }),
      );
      return lists.filter(([, ids]) => ids.length > 0);
    };
    const turns = async (queue: string): Promise<TurnsLook> => {
      const waiting = await Promise.all(
        ['', ...requirements].map(async (one): Promise<[string, string[]]> => {
          return [one, await this.redis.zrange(`${queue}/turns${one && `:${one}`}`, '0', '-1', 'WITHSCORES')];
        }),
      );
      return {
        waiting: waiting.filter(([, tenants]) => tenants.length > 0),
        passes: await this.redis.zrange(`${queue}/passes`, '0', '-1', 'WITHSCORES'),
      };
    };
    return {
      queues: await Promise.all(keys.queues.map(read)),
      turns: await Promise.all(keys.queues.map(turns)),
      requirements,
      delayed: await this.redis.zrange(keys.delayed, '0', '-1'),
      // Their order is that of times: a claim that meets a new requirement is two steps in Redis.
      leases: (await this.redis.zrange(keys.leases, '0', '-1')).sort(),
      recent: await this.streams(keys.recent, (ids) => ids.match(/.{36}/g) ?? []),
      failures: await this.streams(keys.failures, (ids) => ids.split(' ')),
    };
  }
}

interface Lists {
  queues: [requirement: string, taskIds: string[]][][];
  requirements: string[];
  delayed: string[];
  leases: string[];
  recent: [whose: string, ids: string[]][];
  failures: [whose: string, ids: string[]][];
  turns: TurnsLook[];
}

/** Tenants and their passes, as Redis shows them. */
interface TurnsLook {
  waiting: [requirement: string, tenants: string[]][];
  passes: string[];
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);
const scored = (scores: Iterable<[string, number]>): string[] =>
  [...scores].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1)).flatMap(([name, score]) => [name, String(score)]);

function turnsOf({ waiting, passes, last }: Turns): TurnsLook {
  const served: [string, number][] = passes.size > 0 ? [...passes, ['/', last]] : [];
  const tenants = [...waiting]
    .filter(([, set]) => set.size > 0)
    .map(([requirement, set]): [string, string[]] => {
      return [requirement, scored(set.upTo(Infinity, Infinity).map((name) => [name, set.scoreOf(name) ?? 0]))];
    });
  return { waiting: tenants.sort(byName), passes: scored(served) };
}

const listsOf = ({ queues, turns, requirements, delayed, leases, recent, failures }: ShardData): Lists => ({
  turns: turns.map(turnsOf),
  queues: queues.map((lists) =>
    [...lists]
      .filter(([, ids]) => ids.length > 0)
      .map(([requirement, ids]): [string, string[]] => [requirement, [...ids]])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  ),
  requirements: [...requirements.keys()].sort(),
  delayed: delayed.upTo(Infinity, Infinity),
  leases: leases.upTo(Infinity, Infinity).sort(),
  recent: streamsOf(recent),
  failures: streamsOf(failures),
});

const streamsOf = (streams: Streams): [string, string[]][] =>
  [...streams].filter(([, ids]) => ids.length > 0).sort(byName);

const isTime = (name: string): boolean => /^(queued|claimed|finished|due)AtMs$/.test(name);

function timeless(task: TaskRecord | undefined): unknown {
  if (!task) return undefined;
  const history = task.history.map(({ event, to, detail }) => ({ event, to, detail }));
  const entries = Object.entries(task).map(([name, value]) => [name, isTime(name) ? 'some time' : value] as const);
  return { ...Object.fromEntries(entries), history };
}
