/** When an attempt that ended with an exception is followed by another one. Lost workers and crashes are `maxAttempts`' business. */
export interface RetryPolicy {
  maxRetries: number;
  /** Before the first retry; each further one waits `backoffFactor` times as long, at most `maxBackoffMs`. */
  backoffMs: number;
  backoffFactor: number;
  maxBackoffMs: number;
  /** The share of the delay, 0 to 1, that is random: so much of it may be missing. */
  jitter: number;
  /** Names of exception classes, bare or with their module; those that derive from them are meant as well. Absent: any `Exception`. */
  on?: string[];
}
