/**
 * Times of the suite, shorter than the defaults in proportion, so that a fault and its recovery take seconds. Whoever holds a task
 * when its lease, worker or dispatcher is lost has it taken away within lease + reap interval.
 */
export const SETTINGS = {
  LEASE_MS: '3000',
  HEARTBEAT_MS: '500',
  REAP_MS: '250',
  SHUTDOWN_GRACE_MS: '5000',
} as const;

export const LEASE_MS = Number(SETTINGS.LEASE_MS);
/** Lease, reap, claim, and the work itself, on a machine that may be busy. */
export const RECOVERY_MS = 8_000;
/** What has not ended so long after the fault is lost. */
export const PATIENCE_MS = 45_000;
/** Names what `sabotage.ts` breaks. */
export const BREAKAGE_VARIABLE = 'MPCSFAAS_CHAOS_BREAK';
