import type { Redis } from 'ioredis';
import type { FunctionRecord } from '../taskStore.js';
import { functionKey } from './keys.js';

/** What is known of functions, undefined where there is none. */
export function readFunctions(redis: Redis, functionIds: readonly string[]): Promise<(FunctionRecord | undefined)[]> {
  return Promise.all(
    functionIds.map(async (functionId) => {
      const key = functionKey(functionId);
      const [[name, registered], payloadBytes] = await Promise.all([
        redis.hmget(key, 'name', 'registered'),
        redis.hstrlen(key, 'payload'),
      ]);
      if (name == null) return undefined;
      return { functionId, name, payloadBytes, registeredAtMs: Number(registered) };
    }),
  );
}
