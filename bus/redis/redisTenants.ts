import type { Redis } from 'ioredis';
import type { TenantLimits, TenantUsage } from '../tenants.js';
import { TENANTS_KEY } from './keys.js';
import { Script } from './script.js';
import { guarded, Shards } from './shards.js';

const setLimits = new Script<number>('setLimits', 'tenant', 'requirement', 'usage', 'retained');
const FIELDS = {
  maxWaiting: 'waiting',
  maxWaitingBytes: 'bytes',
  maxRunning: 'running',
  maxRetainedBytes: 'retained',
} as const;

/** Tenants that have registered a function or have limits, their limits, and what they use. */
export class RedisTenants {
  private readonly shards: Shards;

  constructor(
    private readonly redis: Redis,
    options: { shards: number },
  ) {
    this.shards = new Shards(options.shards);
  }

  /**
   * Sets limits of a tenant; what is not named stays. They hold from now on, also for what waits already. With several shards each
   * holds its share, at least one.
   * @param tenant undefined: for all that have none of their own
   * @throws PlatformError STORE_UNAVAILABLE
   */
  async setLimits(tenant: string | undefined, limits: TenantLimits): Promise<void> {
    const count = this.shards.all.length;
    const fields = Object.entries(limits).flatMap(([name, most]) => {
      const share = most === 0 ? 0 : Math.ceil(most / count);
      return [FIELDS[name as keyof TenantLimits], share];
    });
    await guarded(async () => {
      if (tenant !== undefined)
        await this.redis.hset(TENANTS_KEY, tenant, JSON.stringify({ ...(await this.own(tenant)), ...limits }));
      await this.apply(tenant, fields);
    });
  }

  /** All tenants, by name. @throws PlatformError STORE_UNAVAILABLE */
  async list(): Promise<{ tenant: string; limits: TenantLimits; usage: TenantUsage }[]> {
    return guarded(async () => {
      // What has expired meanwhile is not kept any more.
      await this.apply(undefined, []);
      const known = await this.redis.hgetall(TENANTS_KEY);
      const usages = await Promise.all(
        this.shards.all.map(({ taskPrefix }) => this.redis.hgetall(taskPrefix.replace(/task:$/, 'usage'))),
      );
      const sum = (name: string): number => usages.reduce((total, usage) => total + Number(usage[name] ?? 0), 0);
      return Object.entries(known)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([tenant, limits]) => ({
          tenant,
          limits: JSON.parse(limits) as TenantLimits,
          usage: {
            waiting: sum(`${tenant}/waiting`),
            waitingBytes: sum(`${tenant}/bytes`),
            running: sum(`${tenant}/running`),
            retainedBytes: sum(`${tenant}/retained`),
          },
        }));
    });
  }

  private async apply(tenant: string | undefined, fields: (string | number)[]): Promise<void> {
    for (const { taskPrefix } of this.shards.all) {
      const key = taskPrefix.replace(/task:$/, 'limits');
      await setLimits.run(this.redis, [key], [taskPrefix, tenant ?? '', ...fields]);
    }
  }

  private async own(tenant: string): Promise<TenantLimits> {
    return JSON.parse((await this.redis.hget(TENANTS_KEY, tenant)) ?? '{}') as TenantLimits;
  }
}
