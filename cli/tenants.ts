import type { Config, Environment } from '../bus/config.js';
import { RedisTenants } from '../bus/redis/redisTenants.js';
import { DEFAULT_TENANT, TENANT_PATTERN, type TenantLimits } from '../bus/tenants.js';
import { CommandError, EXIT } from './client/platformApi.js';
import { table } from './client/screen.js';
import { withRedis } from './keys.js';

export interface SetOptions {
  maxQueued?: string;
  maxQueuedBytes?: string;
  maxRunning?: string;
  maxRetainedBytes?: string;
  json?: boolean;
}

export function setLimits(config: Config, env: Environment, tenant: string, options: SetOptions): Promise<void> {
  if (!new RegExp(TENANT_PATTERN).test(tenant))
    throw new CommandError(`A tenant's name matches ${TENANT_PATTERN}.`, EXIT.usage);
  if (tenant === DEFAULT_TENANT) {
    const why = 'The tenant `default` has no limits, and pays nothing for them.';
    throw new CommandError(`${why} Give those who shall have some keys of another tenant.`, EXIT.usage);
  }
  const limits: TenantLimits = {
    ...limit('maxWaiting', '--max-queued', options.maxQueued),
    ...limit('maxWaitingBytes', '--max-queued-bytes', options.maxQueuedBytes),
    ...limit('maxRunning', '--max-running', options.maxRunning),
    ...limit('maxRetainedBytes', '--max-retained-bytes', options.maxRetainedBytes),
  };
  return withRedis(config, env, options, async (redis, screen) => {
    const tenants = new RedisTenants(redis, { shards: config.shards });
    await tenants.setLimits(tenant, limits);
    const now = (await tenants.list()).find((one) => one.tenant === tenant);
    if (screen.json) screen.object({ ...now });
    else screen.line(`${tenant}: ${words(now?.limits ?? {})}`);
  });
}

export function listTenants(config: Config, env: Environment, options: { json?: boolean }): Promise<void> {
  return withRedis(config, env, options, async (redis, screen) => {
    const tenants = await new RedisTenants(redis, { shards: config.shards }).list();
    if (screen.json) for (const tenant of tenants) screen.object({ ...tenant });
    else if (tenants.length === 0) screen.line('There are no tenants but `default`.');
    else {
      const rows = tenants.map(({ tenant, limits, usage }) => [
        ...[
          tenant,
          ...[usage.waiting, usage.waitingBytes, usage.running, usage.retainedBytes].map(String),
          words(limits),
        ],
      ]);
      for (const line of table(['TENANT', 'QUEUED', 'BYTES', 'RUNNING', 'KEPT BYTES', 'LIMITS OF ITS OWN'], rows))
        screen.line(line);
    }
  });
}

function limit(name: keyof TenantLimits, option: string, given: string | undefined): TenantLimits {
  if (given === undefined) return {};
  if (!/^\d{1,15}$/.test(given)) throw new CommandError(`${option} is a whole number; 0 for no limit.`, EXIT.usage);
  return { [name]: Number(given) };
}

function words({ maxWaiting, maxWaitingBytes, maxRunning, maxRetainedBytes }: TenantLimits): string {
  const most = (limit: number | undefined, what: string): string[] =>
    limit === undefined ? [] : [limit === 0 ? `any ${what}` : `${limit} ${what}`];
  const all = [
    ...[...most(maxWaiting, 'queued'), ...most(maxWaitingBytes, 'queued bytes')],
    ...[...most(maxRunning, 'running'), ...most(maxRetainedBytes, 'kept bytes')],
  ];
  return all.length > 0 ? all.join(', ') : 'as for all tenants';
}
