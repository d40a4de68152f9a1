import type { Redis } from 'ioredis';
import { type FunctionOrigin, type OriginSummary, pythonNeeded, summaryOf } from '../functionOrigin.js';
import type { FunctionRecord } from '../taskStore.js';
import { type Asker, DEFAULT_TENANT } from '../tenants.js';
import { functionKey } from './keys.js';

/** What is known of functions, undefined where there is none. */
export function readFunctions(
  redis: Redis,
  functionIds: readonly string[],
  asker?: Asker,
): Promise<(FunctionRecord | undefined)[]> {
  return Promise.all(
    functionIds.map(async (functionId) => {
      const key = functionKey(functionId);
      const [[name, registered, origin, tenant], payloadBytes] = await Promise.all([
        redis.hmget(key, 'name', 'registered', 'origin', 'tenant'),
        redis.hstrlen(key, 'payload'),
      ]);
      if (name == null || !isOf(tenant, asker)) return undefined;
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

/** @param tenant the field of the function's hash, which those of `default` do not have */
export const isOf = (tenant: string | null | undefined, asker: Asker): boolean =>
  asker === undefined || asker === (tenant ?? DEFAULT_TENANT);

export const parsedOrigin = (json: string): OriginSummary => JSON.parse(json) as OriginSummary;

/** The fields of a function's hash that tell of its origin; the text, which may be long, lies apart. */
export function originFields(origin: FunctionOrigin): string[] {
  const fields = ['origin', JSON.stringify(summaryOf(origin)), 'python', pythonNeeded(origin)];
  return origin.source ? [...fields, 'source', origin.source.text] : fields;
}
