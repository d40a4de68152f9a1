import type { Redis } from 'ioredis';
import type { ShardKeys } from '../../bus/redis/keys.js';
import type { ShardData } from './memoryStoreData.js';

/** By field, those that are not 0. */
export type Counts = Record<string, number>;

export async function realCounts(redis: Redis, keys: ShardKeys): Promise<Counts> {
  const fields = Object.entries(await redis.hgetall(keys.counts)).map(
    ([field, value]) => [field, Number(value)] as const,
  );
  return Object.fromEntries(fields.filter(([, count]) => count !== 0));
}

/** The model counts nothing: what the counts must be follows from its tasks and lists, none of which expires while it is compared. */
export function impliedCounts({ tasks, queues, failures }: ShardData): Counts {
  const counts: Counts = {};
  const add = (field: string): void => void (counts[field] = (counts[field] ?? 0) + 1);
  for (const { state } of tasks.values()) if (state === 'completed' || state === 'retrying') add(state);
  for (const [, type] of failures) add(type);
  for (const [index, lists] of queues.entries()) {
    for (const taskId of [...lists.values()].flat()) {
      if (tasks.get(taskId)?.state !== 'queued') add(`dead:${index + 1}`);
    }
  }
  return counts;
}
