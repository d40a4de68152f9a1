import type { Redis } from 'ioredis';
import type { Dependency, DependencyEnd, Resolution, SettleVerdict, TaskState } from '../taskStore.js';
import { joinedIds } from './joinedIds.js';
import { Script } from './script.js';
import { guarded, type Shards } from './shards.js';
import { parseState } from './taskRecord.js';

const scripts = {
  depend: new Script<Buffer[]>('depend', 'waiting'),
  resolve: new Script<Buffer[]>('resolve', 'story', 'tenant', 'ending', 'requirement', 'usage', 'retained', 'waiting'),
  findBlocked: new Script<Buffer[]>('findBlocked', 'waiting'),
};

/** A blocked task is looked at so often: what a crash has kept from it comes so much later. */
const LOOK_EVERY_MS = 5_000;
/** Bounds of one look at a shard. */
const MAX_TASKS = 50;
const MAX_IDS = 40;

/** The steps of tasks that depend on others, which may lie in other shards. See `TaskStore`. */
export function awaitDependencies(
  redis: Redis,
  shards: Shards,
  resultTtlSeconds: number,
  waits: Dependency[],
): Promise<(TaskState | undefined)[]> {
  return shards.forEach(
    waits,
    ({ dependency }) => dependency,
    async (shard, batch) => {
      const args = [shard.taskPrefix, resultTtlSeconds];
      const pairs = batch.flatMap(({ taskId, dependency }) => [dependency, taskId]);
      const states = await scripts.depend.run(redis, [shard.leases], [...args, ...pairs]);
      return states.map((state) => parseState(state));
    },
  );
}

export function resolveDependencies(
  redis: Redis,
  shards: Shards,
  resultTtlSeconds: number,
  ends: DependencyEnd[],
): Promise<(Resolution | undefined)[]> {
  return shards.forEach(
    ends,
    ({ taskId }) => taskId,
    async (shard, batch) => {
      const keys = [...shard.queues, shard.delayed, shard.blocked, shard.failures, shard.requirements];
      const args = batch.flatMap(({ taskId, dependency, state }) => [taskId, dependency, state ?? '']);
      const answers = await scripts.resolve.run(redis, keys, [shard.taskPrefix, resultTtlSeconds, ...args]);
      return answers.map((answer): Resolution | undefined => {
        const [to = '', ids = ''] = answer.toString('latin1').split(' ');
        if (to === 'queued' || to === 'delayed') return { to };
        return to === 'failed' ? { to, dependents: joinedIds(ids) } : undefined;
      });
    },
  );
}

/** @param random in [0, 1): where in what a task depends on the look begins, beside what it is known to wait for */
export async function findBlocked(redis: Redis, shards: Shards, random: () => number): Promise<Dependency[]> {
  const found: Dependency[] = [];
  for (const shard of shards.all) {
    const args = [shard.taskPrefix, LOOK_EVERY_MS, MAX_TASKS, MAX_IDS, random()];
    const answer = await guarded(() => scripts.findBlocked.run(redis, [shard.blocked], args));
    for (let i = 0; i < answer.length; i += 2) {
      const taskId = String(answer[i]);
      for (const dependency of new Set(joinedIds(String(answer[i + 1])))) found.push({ taskId, dependency });
    }
  }
  return found;
}

/** What `settle.lua` answers: a word, and behind an end the tasks that wait for it. */
export function parseVerdict(text: string): SettleVerdict {
  const space = text.indexOf(' ');
  if (space < 0) return text as TaskState | 'duplicate' | 'stale';
  return { state: text.slice(0, space) as 'completed' | 'failed', dependents: joinedIds(text.slice(space + 1)) };
}

export const dependentsOf = (awaiting: Buffer | undefined): { dependents?: string[] } =>
  awaiting?.length ? { dependents: joinedIds(awaiting.toString('latin1', 1)) } : {};
