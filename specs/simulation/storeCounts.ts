import type { Redis } from 'ioredis';
import type { ShardKeys } from '../../bus/redis/keys.js';
import { isTerminal } from '../../bus/taskStore.js';
import type { ShardData } from './memoryStoreData.js';

const ID_LENGTH = 36;

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
  // Those of `default`, and those of all others together: each task once.
  for (const whose of ['', '/']) for (const entry of failures.get(whose) ?? []) add(entry.slice(ID_LENGTH));
  for (const [index, lists] of queues.entries()) {
    for (const taskId of [...lists.values()].flat()) {
      if (tasks.get(taskId)?.state !== 'queued') add(`dead:${index + 1}`);
    }
  }
  return counts;
}

const usageKey = ({ counts }: ShardKeys): string => counts.replace(/counts$/, 'usage');

export async function realUsage(redis: Redis, keys: ShardKeys): Promise<Counts> {
  const fields = Object.entries(await redis.hgetall(usageKey(keys))).map(([field, value]) => [field, Number(value)]);
  return Object.fromEntries(fields.filter(([, count]) => count !== 0)) as Counts;
}

/** What tenants have waiting and running follows from the tasks as well. */
export function impliedUsage({ tasks }: ShardData): Counts {
  const usage: Counts = {};
  const add = (field: string, count: number): void => {
    if (count !== 0) usage[field] = (usage[field] ?? 0) + count;
  };
  for (const { tenant, state, arguments: bytes } of tasks.values()) {
    if (tenant === undefined || isTerminal(state)) continue;
    if (state === 'running') add(`${tenant}/running`, 1);
    else {
      add(`${tenant}/waiting`, 1);
      add(`${tenant}/bytes`, bytes?.length ?? 0);
    }
  }
  return usage;
}
