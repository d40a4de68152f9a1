import type { Redis } from 'ioredis';
import type { FailureType } from '../messages.js';
import type { TaskCounts } from '../taskLists.js';
import { PRIORITIES } from './keys.js';
import { Script } from './script.js';
import { guarded, type Shards } from './shards.js';

const count = new Script<[waiting: (number | Buffer)[], counts: Buffer[]]>('countTasks', 'requirement');

/** See `TaskLists.countTasks`: one short script per shard, however many tasks there are. */
export async function countTasks(redis: Redis, shards: Shards): Promise<TaskCounts> {
  const answers = await guarded(() =>
    Promise.all(
      shards.all.map(({ queues, delayed, leases, blocked, requirements, counts, taskPrefix }) =>
        count.run(redis, [...queues, delayed, leases, blocked, requirements, counts], [taskPrefix]),
      ),
    ),
  );
  const total: TaskCounts = {
    ...{ queued: { high: 0, normal: 0, low: 0 }, running: 0, delayed: 0, retrying: 0, blocked: 0 },
    ...{ completed: 0, cancelled: 0, failed: 0, failures: {} },
  };
  for (const [waiting, counts] of answers) addShard(total, waiting, fieldsOf(counts));
  return total;
}

function addShard(total: TaskCounts, waiting: (number | Buffer)[], counts: Map<string, number>): void {
  const [high, normal, low, timed = 0, running = 0, blocked = 0, oldest] = waiting.map(Number);
  [high, normal, low].forEach((entries = 0, place) => {
    const priority = PRIORITIES[place] as (typeof PRIORITIES)[number];
    total.queued[priority] += Math.max(0, entries - (counts.get(`dead:${place + 1}`) ?? 0));
  });
  // Tasks of a version that did not count yet may be retrying.
  const retrying = Math.min(timed, Math.max(0, counts.get('retrying') ?? 0));
  total.retrying += retrying;
  total.delayed += timed - retrying;
  total.running += running;
  total.blocked += blocked;
  if (oldest) total.oldestQueuedAtMs = Math.min(total.oldestQueuedAtMs ?? Infinity, oldest);
  for (const [field, number] of counts) {
    if (field === 'completed') total.completed += number;
    else if (field === 'Cancelled') total.cancelled += number;
    else if (field !== 'retrying' && !field.startsWith('dead:')) {
      const type = field as FailureType;
      total.failed += number;
      total.failures[type] = (total.failures[type] ?? 0) + number;
    }
  }
}

function fieldsOf(flat: Buffer[]): Map<string, number> {
  const fields = new Map<string, number>();
  for (let i = 0; i < flat.length; i += 2) fields.set(String(flat[i]), Number(flat[i + 1]));
  return fields;
}
