import type { Redis } from 'ioredis';
import type { TaskRef } from '../messages.js';
import { readRecord } from '../outputRecord.js';
import { type Asker, isVisible } from '../tenants.js';
import { Script } from './script.js';
import { guarded, type Shards } from './shards.js';

const keep = new Script<number>('keepOutput', 'tenant', 'requirement', 'usage', 'retained');

/** See `TaskStore.readOutput`. */
export async function readOutput(
  redis: Redis,
  shards: Shards,
  taskId: string,
  asker: Asker,
): Promise<Buffer | undefined> {
  return guarded(async () => {
    const shard = shards.of(taskId);
    const [[state, lane], output] = await Promise.all([
      redis.hmget(shard.taskPrefix + taskId, 'state', 'needs'),
      redis.getBuffer(shard.outputPrefix + taskId),
    ]);
    return state == null || !isVisible(asker, lane ?? '') ? undefined : (output ?? Buffer.alloc(0));
  });
}

/** See `TaskStore.keepOutput`. */
export async function keepOutput(
  redis: Redis,
  shards: Shards,
  { taskId, fence, output }: TaskRef & { output: Buffer },
): Promise<boolean> {
  return guarded(async () => {
    const shard = shards.of(taskId);
    const truncated = readRecord(output).truncated ? '1' : '';
    const args = [shard.taskPrefix + taskId, shard.outputPrefix + taskId, fence, output, truncated];
    return (await keep.run(redis, [shard.leases], args)) === 1;
  });
}
