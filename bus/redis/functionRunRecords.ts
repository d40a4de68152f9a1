import type { Redis } from 'ioredis';
import type { FunctionRuns } from '../functionRuns.js';
import { functionRunsKey } from './keys.js';

/** Fields of a bucket's count are its number behind this. */
const BUCKET = 't';

/** Adds to what is counted, in one round trip. Not in one step: a reader in between sees a part of it. */
export async function addFunctionRuns(redis: Redis, counted: ReadonlyMap<string, FunctionRuns>): Promise<void> {
  const pipeline = redis.pipeline();
  for (const [functionId, { completed, failed, runTimeUs, buckets }] of counted) {
    const fields = [
      ['completed', completed],
      ['failed', failed],
      ['us', runTimeUs],
      ...[...buckets].map(([bucket, count]) => [`${BUCKET}${bucket}`, count] as const),
    ] as const;
    for (const [field, count] of fields) if (count > 0) pipeline.hincrby(functionRunsKey(functionId), field, count);
  }
  const answers = await pipeline.exec();
  const failure = answers?.find(([error]) => error)?.[0];
  if (failure) throw failure;
}

/** What is counted of each; nothing of unknown ones. */
export function readFunctionRuns(redis: Redis, functionIds: readonly string[]): Promise<FunctionRuns[]> {
  return Promise.all(
    functionIds.map(async (functionId) => {
      const hash = await redis.hgetall(functionRunsKey(functionId));
      const buckets = Object.entries(hash).filter(([field]) => field.startsWith(BUCKET));
      return {
        completed: Number(hash['completed'] ?? 0),
        failed: Number(hash['failed'] ?? 0),
        runTimeUs: Number(hash['us'] ?? 0),
        buckets: new Map(buckets.map(([field, count]) => [Number(field.slice(BUCKET.length)), Number(count)])),
      };
    }),
  );
}
