import type { Redis } from 'ioredis';

/**
 * All that Redis has answered until now outlives a kill, and what it answers from now on does, until it is started again. Under `everysec`
 * it might be held back while a sync is under way.
 */
export async function synced(redis: Redis): Promise<void> {
  await redis.config('SET', 'appendfsync', 'always');
  await redis.set('synced', '1');
}
