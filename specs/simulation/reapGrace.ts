import type { ShardData } from './memoryStoreData.js';

/** One after the other, from which on they are the way this platform reaps. */
const MAX_GAPS = 3;

/**
 * What the first half of `reap.lua` does: notes that the shard is being reaped, and tells for how many ms leases are still not
 * enforced, since the living may have been unable to renew.
 */
export function nextGrace(shard: ShardData, runId: string, now: number, leaseMs: number): number {
  const { epoch, leases } = shard;
  const lastMs = epoch?.lastMs ?? now;
  if (now < lastMs) leases.capAt(now + leaseMs);
  const gapMs = Math.max(0, now - lastMs);
  const longestMs = Math.max(1, Math.floor(leaseMs / 3));
  const gaps = gapMs > longestMs ? (epoch?.gaps ?? 0) + 1 : 0;
  const hasRestarted = epoch !== undefined && epoch.runId !== runId;
  const mayHaveMissed = hasRestarted || (gaps > 0 && gaps <= MAX_GAPS);
  const graceMs = mayHaveMissed
    ? leaseMs
    : Math.max(0, Math.min(epoch?.graceMs ?? 0, leaseMs) - Math.min(gapMs, longestMs));
  shard.epoch = { runId, lastMs: now, graceMs, gaps };
  return graceMs;
}
