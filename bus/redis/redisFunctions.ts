import type { FunctionRecord, FunctionRegistration } from '../taskStore.js';
import { RedisActorRecords } from './actorRecords.js';
import { betterOrigin, type FunctionOrigin, functionBody } from '../functionOrigin.js';
import type { FunctionRuns } from '../functionRuns.js';
import { type Asker, DEFAULT_TENANT, OTHERS, tenantSuffix } from '../tenants.js';
import { addFunctionRuns, readFunctionRuns } from './functionRunRecords.js';
import { isOf, originFields, parsedOrigin, readFunctions } from './functionRecords.js';
import { functionIdOf, functionKey, FUNCTIONS_KEY, functionsKey, TENANTS_KEY } from './keys.js';
import { guarded } from './shards.js';

/** The part of the store that keeps functions: content-addressed, outside the shards. */
export class RedisFunctions extends RedisActorRecords {
  async registerFunction(registration: FunctionRegistration): Promise<{ functionId: string; created: boolean }> {
    const { name, payload, origin, tenant } = registration;
    const functionId = functionIdOf(payload, tenant);
    const key = functionKey(functionId);
    return guarded(async () => {
      const registeredAtMs = Date.now();
      const fields = [
        'name',
        name,
        'payload',
        payload,
        'registered',
        registeredAtMs,
        ...(origin ? originFields(origin) : []),
        ...(tenant === undefined || tenant === DEFAULT_TENANT ? [] : ['tenant', tenant]),
      ];
      // HSETNX on the payload alone would let a crash leave a function without a name; the whole hash is written twice at worst.
      const created = (await this.redis.exists(key)) === 0;
      if (created) await this.redis.hset(key, ...fields);
      else if (origin) await this.addOrigin(key, origin);
      // A crash between the two leaves it out of the lists until it is registered again.
      const suffix = tenantSuffix(tenant);
      if (tenant !== undefined && suffix !== '') await this.redis.hsetnx(TENANTS_KEY, tenant, '{}');
      for (const key of suffix === '' ? [FUNCTIONS_KEY] : [functionsKey(tenant), functionsKey(OTHERS)])
        await this.redis.zadd(key, 'NX', registeredAtMs, functionId);
      return { functionId, created };
    });
  }

  private async addOrigin(key: string, told: FunctionOrigin): Promise<void> {
    const known = await this.redis.hget(key, 'origin');
    const better = betterOrigin(known === null ? undefined : parsedOrigin(known), told);
    if (better) await this.redis.hset(key, ...originFields(better));
  }

  async readFunction(functionId: string, asker?: Asker): Promise<FunctionRecord | undefined> {
    const [record] = await guarded(() => readFunctions(this.redis, [functionId], asker));
    return record;
  }

  async addFunctionRuns(counted: ReadonlyMap<string, FunctionRuns>): Promise<void> {
    if (counted.size > 0) await guarded(() => addFunctionRuns(this.redis, counted));
  }

  readFunctionRuns(functionIds: readonly string[]): Promise<FunctionRuns[]> {
    return guarded(() => readFunctionRuns(this.redis, functionIds));
  }

  async pythonsNeeded(functionIds: string[], asker?: Asker): Promise<(string | undefined)[]> {
    return guarded(async () => {
      const found = await Promise.all(
        functionIds.map((id) => this.redis.hmget(functionKey(id), 'name', 'python', 'tenant')),
      );
      return found.map(([name, python, tenant]) => (name == null || !isOf(tenant, asker) ? undefined : (python ?? '')));
    });
  }

  async loadFunctions(functionIds: string[]): Promise<(Buffer | undefined)[]> {
    return guarded(() => Promise.all(functionIds.map((id) => this.loadFunction(functionKey(id)))));
  }

  private async loadFunction(key: string): Promise<Buffer | undefined> {
    const [payload, origin, text] = await this.redis.hmgetBuffer(key, 'payload', 'origin', 'source');
    if (!payload) return undefined;
    if (!origin) return payload;
    const { source, ...known } = parsedOrigin(String(origin));
    const whole = source && text ? { source: { ...source, text: String(text) } } : {};
    return functionBody(payload, { ...known, ...whole });
  }
}
