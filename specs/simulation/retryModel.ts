import type { Failure } from '../../bus/messages.js';
import type { RetryPolicy } from '../../bus/taskStore.js';

/** What `settle.lua` makes of an exception, in TypeScript: ms until the next attempt, undefined when the exception is the answer. */
export function retryDelayMs(
  policy: RetryPolicy | undefined,
  retries: number,
  failure: Failure | undefined,
  random: number,
): number | undefined {
  if (!policy || retries >= policy.maxRetries || !covers(policy, failure?.bases ?? [])) return undefined;
  const delay = Math.min(policy.maxBackoffMs, policy.backoffMs * policy.backoffFactor ** retries);
  return Math.floor(delay * (1 - policy.jitter * random));
}

function covers({ on }: RetryPolicy, bases: string[]): boolean {
  if (!on) return bases.includes('Exception');
  return bases.some((base) => on.includes(base) || on.includes(base.slice(base.lastIndexOf('.') + 1)));
}

export function retryDetail({ exception }: Failure, worker: string, delayMs: number): string {
  // eslint-disable-next-line no-control-regex -- the very characters that a line must not have
  const name = (exception ?? 'exception').replace(/[\x00-\x1f\x7f]/g, '?').slice(0, 200);
  return ` on ${worker}: ${name}, next attempt in ${delayMs} ms`;
}
