import type { FunctionRecord, FunctionRegistration } from '../taskStore.js';
import { RedisActorRecords } from './actorRecords.js';
import { readFunctions } from './functionRecords.js';
import { functionIdOf, functionKey, FUNCTIONS_KEY } from './keys.js';
import { guarded } from './shards.js';

/** The part of the store that keeps functions: content-addressed, outside the shards. */
export class RedisFunctions extends RedisActorRecords {
  async registerFunction({ name, payload }: FunctionRegistration): Promise<{ functionId: string; created: boolean }> {
    const functionId = functionIdOf(payload);
    const key = functionKey(functionId);
    return guarded(async () => {
      const registeredAtMs = Date.now();
      const fields = ['name', name, 'payload', payload, 'registered', registeredAtMs];
      // HSETNX on the payload alone would let a crash leave a function without a name; the whole hash is written twice at worst.
      const created = (await this.redis.exists(key)) === 0;
      if (created) await this.redis.hset(key, ...fields);
      // A crash between the two leaves it out of the lists until it is registered again.
      await this.redis.zadd(FUNCTIONS_KEY, 'NX', registeredAtMs, functionId);
      return { functionId, created };
    });
  }

  async readFunction(functionId: string): Promise<FunctionRecord | undefined> {
    const [record] = await guarded(() => readFunctions(this.redis, [functionId]));
    return record;
  }

  async functionsExist(functionIds: string[]): Promise<boolean[]> {
    return guarded(async () => {
      const [only] = functionIds;
      if (only !== undefined && functionIds.length === 1) return [(await this.redis.exists(functionKey(only))) === 1];
      const pipeline = this.redis.pipeline(functionIds.map((id) => ['exists', functionKey(id)]));
      return ((await pipeline.exec()) ?? []).map(([error, count]) => {
        if (error) throw error;
        return count === 1;
      });
    });
  }

  async loadFunctions(functionIds: string[]): Promise<(Buffer | undefined)[]> {
    return guarded(async () => {
      const bodies = await Promise.all(functionIds.map((id) => this.redis.hgetBuffer(functionKey(id), 'payload')));
      return bodies.map((body) => body ?? undefined);
    });
  }
}
