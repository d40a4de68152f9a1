import { type Environment, integer } from './values.js';

const MOST = Number.MAX_SAFE_INTEGER;

/** What tenants other than `default` may have, where `mpcsfaas tenant set` says nothing else, and what a key may send; 0: no limit. */
export interface TenantsConfig {
  /** `TENANT_MAX_QUEUED`: tasks of one tenant that wait. Default 1,000,000. */
  readonly tenantMaxQueued: number;
  /** `TENANT_MAX_QUEUED_BYTES`: of their arguments. Default 4 GiB. */
  readonly tenantMaxQueuedBytes: number;
  /** `TENANT_MAX_RUNNING`: tasks of one tenant that run at once. Default 0. */
  readonly tenantMaxRunning: number;
  /** `TENANT_MAX_RETAINED_BYTES`: that finished tasks of one tenant keep; over it the oldest expire. Default 0. */
  readonly tenantMaxRetainedBytes: number;
  /** `SUBMIT_RATE`: tasks per second that one API takes under one key, over ten seconds or so. Default 0. */
  readonly submitRate: number;
}

export function parseTenants(env: Environment): TenantsConfig {
  return {
    tenantMaxQueued: integer(env, 'TENANT_MAX_QUEUED', 1_000_000, 0, MOST),
    tenantMaxQueuedBytes: integer(env, 'TENANT_MAX_QUEUED_BYTES', 4 * 1024 ** 3, 0, MOST),
    tenantMaxRunning: integer(env, 'TENANT_MAX_RUNNING', 0, 0, MOST),
    tenantMaxRetainedBytes: integer(env, 'TENANT_MAX_RETAINED_BYTES', 0, 0, MOST),
    submitRate: integer(env, 'SUBMIT_RATE', 0, 0, MOST),
  };
}
