import type { Redis } from 'ioredis';
import type { TaskRef } from '../messages.js';
import { readRecord } from '../outputRecord.js';
import { Script } from './script.js';
import { guarded, type Shards } from './shards.js';

const keep = new Script<number>('keepOutput');

/** See `TaskStore.readOutput`. */
export async function readOutput(redis: Redis, shards: Shards, taskId: string): Promise<Buffer | undefined> {
  return guarded(async () => {
    const shard = shards.of(taskId);
    const [exists, output] = await Promise.all([
      redis.exists(shard.taskPrefix + taskId),
      redis.getBuffer(shard.outputPrefix + taskId),
    ]);
    return exists === 0 ? undefined : (output ?? Buffer.alloc(0));
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
