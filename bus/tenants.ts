/**
 * Tenants: whose functions and tasks are whose. Those of `default` lie where everything lay before there were others; a task of another
 * tenant, and of `default` while it has limits of its own, says so in its lane.
 */
export const DEFAULT_TENANT = 'default';
export const TENANT_PATTERN = '^[a-z0-9][a-z0-9_-]{0,31}$';

/** Who asks: a tenant, which is answered as if there were no other; undefined for who may see all. */
export type Asker = string | undefined;

/** In names of what all tenants but `default` have together; no tenant is called so. */
export const OTHERS = '/';

/**
 * What a task's hash has in the field `needs`, and where its queues are: the requirement, and before it `<tenant>/`, which neither tenants
 * nor requirements contain. '' for most.
 */
export const laneOf = (tenant: string | undefined, requirement = ''): string =>
  tenant === undefined ? requirement : `${tenant}/${requirement}`;

export function partsOfLane(lane: string): { tenant?: string; requirement: string } {
  const slash = lane.indexOf('/');
  return slash < 0 ? { requirement: lane } : { tenant: lane.slice(0, slash), requirement: lane.slice(slash + 1) };
}

/** Does a task in this lane exist for who asks? As `is_visible` of `tenant.lua`. */
export const isVisible = (asker: Asker, lane: string): boolean =>
  asker === undefined || asker === (partsOfLane(lane).tenant ?? DEFAULT_TENANT);

/** Behind the names of keys that tenants have apart: '' for `default`. */
export const tenantSuffix = (tenant: string | undefined): string =>
  tenant === undefined || tenant === DEFAULT_TENANT ? '' : `:${tenant}`;

/** What a tenant may have; 0 or absent: no limit, or that for all tenants. */
export interface TenantLimits {
  /** Tasks that wait: queued, delayed, between two tries, or for other tasks. */
  readonly maxWaiting?: number;
  /** Bytes of their arguments. */
  readonly maxWaitingBytes?: number;
  readonly maxRunning?: number;
  /** Bytes that finished tasks keep: results, arguments, output, and 256 for each record. Over it the oldest expire. */
  readonly maxRetainedBytes?: number;
}

export interface TenantUsage {
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly running: number;
  /** Counted only where there is a limit, from when it was set. */
  readonly retainedBytes: number;
}
