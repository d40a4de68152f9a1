import type { Redis } from 'ioredis';
import { type FunctionOrigin, type OriginSummary, pythonNeeded, summaryOf } from '../functionOrigin.js';
import type { FunctionRecord } from '../taskStore.js';
import { functionKey } from './keys.js';

/** What is known of functions, undefined where there is none. */
export function readFunctions(redis: Redis, functionIds: readonly string[]): Promise<(FunctionRecord | undefined)[]> {
  return Promise.all(
    functionIds.map(async (functionId) => {
      const key = functionKey(functionId);
      const [[name, registered, origin], payloadBytes] = await Promise.all([
        redis.hmget(key, 'name', 'registered', 'origin'),
        redis.hstrlen(key, 'payload'),
      ]);
      if (name == null) return undefined;
      const registeredAtMs = Number(registered);
      return {
        functionId,
        name,
        payloadBytes,
        registeredAtMs,
        ...(origin != null && { origin: parsedOrigin(origin) }),
      };
    }),
  );
}

export const parsedOrigin = (json: string): OriginSummary => JSON.parse(json) as OriginSummary;

/** The fields of a function's hash that tell of its origin; the text, which may be long, lies apart. */
export function originFields(origin: FunctionOrigin): string[] {
  const fields = ['origin', JSON.stringify(summaryOf(origin)), 'python', pythonNeeded(origin)];
  return origin.source ? [...fields, 'source', origin.source.text] : fields;
}
