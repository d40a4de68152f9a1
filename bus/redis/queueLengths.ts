import type { Redis } from 'ioredis';
import { type Asker, DEFAULT_TENANT, laneOf } from '../tenants.js';
import type { ShardKeys } from './keys.js';

/** How many entries a shard's queues have by priority, for who asks: those of one tenant, or all. */
export async function queueLengths(redis: Redis, shard: ShardKeys, asker?: Asker): Promise<number[]> {
  const requirements = ['', ...(await redis.hkeys(shard.requirements)).filter((requirement) => requirement !== '')];
  const held = asker === undefined ? await heldLists(redis, shard) : [];
  const lengthsOf = shard.queues.map(async (queue) => {
    const lanes = await Promise.all(requirements.map((requirement) => lanesOf(redis, queue, requirement, asker)));
    const inTurns = lanes.flat().map((lane) => (lane === '' ? queue : `${queue}:${lane}`));
    const lists = new Set([...inTurns, ...held.filter((list) => list.startsWith(`${queue}:`))]);
    const lengths = await Promise.all([...lists].map((list) => redis.llen(list)));
    return lengths.reduce((sum, length) => sum + length, 0);
  });
  return Promise.all(lengthsOf);
}

/** Those of tenants that run as many tasks as they may, which take no turns until one ends: see `turns.lua`. */
async function heldLists(redis: Redis, shard: ShardKeys): Promise<string[]> {
  const places = await redis.hvals(shard.taskPrefix.replace(/task:$/, 'held'));
  return places.flatMap((lines) =>
    [...lines.matchAll(/([^\n]*)\n([^\n]*)\n/g)].map(([, queue, lane]) => `${queue}:${lane}`),
  );
}

async function lanesOf(redis: Redis, queue: string, requirement: string, asker: Asker): Promise<string[]> {
  if (asker !== undefined) {
    const own = laneOf(asker, requirement);
    return asker === DEFAULT_TENANT ? [requirement, own] : [own];
  }
  const tenants = await redis.zrange(turnsKey(queue, requirement), '0', '-1');
  return [requirement, ...tenants.map((tenant) => laneOf(tenant, requirement))];
}

const turnsKey = (queue: string, requirement: string): string =>
  requirement === '' ? `${queue}/turns` : `${queue}/turns:${requirement}`;
