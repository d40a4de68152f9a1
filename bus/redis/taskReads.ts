import type { Redis } from 'ioredis';
import type { TaskRef } from '../messages.js';
import type { TaskOutcome, TaskState } from '../taskStore.js';
import type { Asker } from '../tenants.js';
import { readValue } from './largeValues.js';
import { Script } from './script.js';
import { queueLengths } from './queueLengths.js';
import { guarded, type Shards } from './shards.js';
import { parseOutcome, parseState } from './taskRecord.js';

const scripts = {
  findClaims: new Script<Buffer[]>('findClaims'),
  readStates: new Script<(Buffer | null)[]>('readStates', 'tenant'),
  readOutcomes: new Script<(Buffer | [field: Buffer] | null)[]>('readOutcomes', 'tenant'),
};

const itself = (taskId: string): string => taskId;

/** See `TaskStore.findClaims`. */
export async function findClaims(redis: Redis, shards: Shards, nonces: string[]): Promise<TaskRef[]> {
  const refs: TaskRef[] = [];
  for (const { taskPrefix, leases } of shards.all) {
    const found = await guarded(() => scripts.findClaims.run(redis, [leases], [taskPrefix, ...nonces]));
    for (let i = 0; i < found.length; i += 2) refs.push({ taskId: String(found[i]), fence: String(found[i + 1]) });
  }
  return refs;
}

export function readStates(
  redis: Redis,
  shards: Shards,
  taskIds: string[],
  asker: Asker,
): Promise<(TaskState | undefined)[]> {
  return shards.forEach(taskIds, itself, async (shard, batch) => {
    const states = await scripts.readStates.run(redis, [shard.leases], [shard.taskPrefix, asker ?? '', ...batch]);
    return batch.map((_, index) => parseState(states[index]));
  });
}

/** See `OutcomeReader.readOutcomesUpTo`. */
export async function readOutcomesUpTo(
  redis: Redis,
  shards: Shards,
  taskIds: string[],
  maxBytes: number,
  asker: Asker,
): Promise<(TaskOutcome | 'unread' | undefined)[]> {
  let left = maxBytes;
  return shards.forEach(taskIds, itself, async (shard, batch) => {
    if (left <= 0) return batch.map(() => 'unread' as const);
    const answer = await scripts.readOutcomes.run(
      redis,
      [shard.leases],
      [shard.taskPrefix, left, asker ?? '', ...batch],
    );
    const fields = await withLargeValues(answer, (index, field) => {
      return readValue(redis, shard.taskPrefix + (batch[Math.floor(index / 3)] ?? ''), field);
    });
    for (const field of fields) left -= field?.length ?? 0;
    return batch.map((taskId, index) => {
      if (3 * index >= fields.length) return 'unread';
      return parseOutcome(taskId, fields.slice(3 * index, 3 * index + 3));
    });
  });
}

/** Puts values in the place of the names that a script answered for large ones. */
async function withLargeValues(
  answer: (Buffer | [field: Buffer] | null)[],
  read: (index: number, field: string) => Promise<Buffer>,
): Promise<(Buffer | null)[]> {
  if (!answer.some(Array.isArray)) return answer as (Buffer | null)[];
  const named = async (one: Buffer | [field: Buffer] | null, index: number): Promise<Buffer | null> =>
    Array.isArray(one) ? read(index, String(one[0])) : one;
  return Promise.all(answer.map(named));
}

/** Entries of all lists, those of requirements and tenants included. */
export function readQueueDepth(redis: Redis, shards: Shards): Promise<number> {
  return guarded(async () => {
    const depths = await Promise.all(shards.all.map((shard) => queueLengths(redis, shard)));
    return depths.flat().reduce((sum, length) => sum + length, 0);
  });
}

/** See `TaskStore.nextDueMs`. */
export function readNextDueMs(redis: Redis, shards: Shards): Promise<number | undefined> {
  return guarded(async () => {
    const [[seconds, microseconds], ...firsts] = await Promise.all([
      redis.time(),
      ...shards.all.map(({ delayed }) => redis.zrange(delayed, '0', '0', 'WITHSCORES')),
    ]);
    const dueAtMs = Math.min(...firsts.map(([, score]) => Number(score ?? Infinity)));
    return dueAtMs === Infinity ? undefined : dueAtMs - (Number(seconds) * 1_000 + Number(microseconds) / 1_000);
  });
}
