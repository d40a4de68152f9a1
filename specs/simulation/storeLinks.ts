import type { Redis } from 'ioredis';
import type { ShardKeys } from '../../bus/redis/keys.js';
import type { ShardData } from './memoryStoreData.js';

/** What a shard knows of dependencies, in an order of its own. */
export interface Links {
  blocked: string[];
  /** What a task waits for, and who waits for it. */
  of: Record<string, { unmet: string[]; dependents: string[]; awaited: boolean }>;
}

const NONE = { unmet: [], dependents: [], awaited: false };
const isNone = ({ unmet, dependents, awaited }: Links['of'][string]): boolean =>
  unmet.length === 0 && dependents.length === 0 && !awaited;

export async function realLinks(redis: Redis, keys: ShardKeys, taskIds: readonly string[]): Promise<Links> {
  const links: Links = { blocked: (await redis.zrange(keys.blocked, '0', '-1')).sort(), of: {} };
  for (const taskId of taskIds) {
    const beside = (name: string): string => keys.taskPrefix.replace(/task:$/, `${name}:`) + taskId;
    const [unmet, dependents, after] = await Promise.all([
      redis.smembers(beside('unmet')),
      redis.smembers(beside('dependents')),
      redis.hget(keys.taskPrefix + taskId, 'after'),
    ]);
    const one = { unmet: unmet.sort(), dependents: dependents.sort(), awaited: after?.endsWith('+') ?? false };
    if (!isNone(one)) links.of[taskId] = one;
  }
  return links;
}

export function modelLinks({ blocked, tasks }: ShardData, taskIds: readonly string[]): Links {
  const links: Links = { blocked: blocked.upTo(Infinity, Infinity).sort(), of: {} };
  for (const taskId of taskIds) {
    const { unmet, dependents, awaited } = tasks.get(taskId) ?? NONE;
    const one = { unmet: [...unmet].sort(), dependents: [...dependents].sort(), awaited };
    if (!isNone(one)) links.of[taskId] = one;
  }
  return links;
}
