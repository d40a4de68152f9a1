import { PlatformError } from '../bus/errors.js';
import type { Principal } from './principal.js';

/** A key that was silent may send at once what it could have sent in so long. */
const BURST_SECONDS = 10;
/** Keys remembered; about 100 bytes each. */
const MAX_REMEMBERED = 10_000;

interface Bucket {
  /** May be below 0: a request is taken whole when there is anything left, and what comes next waits for it. */
  tokens: number;
  atMs: number;
}

/** How many tasks each key submits through this API: a bucket of tokens per key, one for all who need none. */
export class SubmitRate {
  private readonly buckets = new Map<string, Bucket>();

  /** @param perSecond 0 for no limit */
  constructor(
    private readonly perSecond: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** @throws PlatformError QUOTA_EXCEEDED */
  take({ keyId = '' }: Principal, tasks: number): void {
    if (this.perSecond === 0) return;
    const now = this.nowMs();
    const most = this.perSecond * BURST_SECONDS;
    const { tokens, atMs } = this.buckets.get(keyId) ?? { tokens: most, atMs: now };
    const left = Math.min(most, tokens + ((now - atMs) * this.perSecond) / 1000);
    if (left <= 0) {
      const retryAfterSeconds = Math.max(1, Math.ceil(-left / this.perSecond));
      const words = `This key submits more than ${this.perSecond} tasks per second.`;
      throw new PlatformError('QUOTA_EXCEEDED', words, { retryAfterSeconds });
    }
    this.buckets.delete(keyId);
    if (this.buckets.size >= MAX_REMEMBERED) this.buckets.clear();
    this.buckets.set(keyId, { tokens: left - tasks, atMs: now });
  }
}
