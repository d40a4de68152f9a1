import type { Redis } from 'ioredis';
import { type Asker, OTHERS } from '../tenants.js';
import { functionsKey } from './keys.js';
import { byTimeThenId, type TimedId } from './listCursors.js';
import { MAX_BATCH } from './shards.js';

/** Functions that who asks may see, behind a place, newest first. */
export async function functionsAfter(
  redis: Redis,
  after: TimedId | undefined,
  count: number,
  asker: Asker,
): Promise<TimedId[]> {
  const keys = asker === undefined ? [functionsKey(undefined), functionsKey(OTHERS)] : [functionsKey(asker)];
  const found = await Promise.all(keys.map((key) => listedAfter(redis, key, after, count)));
  return found.flat().sort(byTimeThenIdDescending).slice(0, count);
}

/** Within a millisecond Redis has them backwards by id. */
const byTimeThenIdDescending = (a: TimedId, b: TimedId): number => b.ms - a.ms || -byTimeThenId(a, b);

async function listedAfter(redis: Redis, key: string, after: TimedId | undefined, count: number): Promise<TimedId[]> {
  const found: TimedId[] = [];
  const max = after ? String(after.ms) : '+inf';
  // Many may have been registered in the millisecond of the cursor: its place among them is found by going on.
  for (let offset = 0; found.length < count; offset += MAX_BATCH) {
    const flat = await redis.zrevrangebyscore(key, max, '-inf', 'WITHSCORES', 'LIMIT', offset, MAX_BATCH);
    for (let place = 0; place < flat.length; place += 2) {
      const function_ = { id: String(flat[place]), ms: Number(flat[place + 1]) };
      if (!after || function_.ms < after.ms || function_.id < after.id) found.push(function_);
    }
    if (flat.length < 2 * MAX_BATCH) break;
  }
  return found.slice(0, count);
}
