import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { IdempotencyStore, RememberedRequest } from '../idempotencyStore.js';
import { idempotencyKey } from './keys.js';
import { guarded } from './shards.js';

const DAY_SECONDS = 86_400;
const SEED_BYTES = 16;

export class RedisIdempotencyStore implements IdempotencyStore {
  private readonly ttlSeconds: number;

  constructor(
    private readonly redis: Redis,
    options: { resultTtlSeconds: number },
  ) {
    // A repeat finds its tasks by their ids: the record must not outlive them.
    this.ttlSeconds = Math.min(DAY_SECONDS, options.resultTtlSeconds);
  }

  async remember(key: string, digest: string, tenant?: string): Promise<RememberedRequest> {
    const seed = randomBytes(SEED_BYTES);
    const record = `${seed.toString('hex')}${digest}`;
    // SET NX GET: one step, so that of several at once one is the first.
    const earlier = await guarded(() =>
      this.redis.set(idempotencyKey(key, tenant), record, 'EX', this.ttlSeconds, 'NX', 'GET'),
    );
    if (earlier === null) return { digest, seed };
    return { digest: earlier.slice(2 * SEED_BYTES), seed: Buffer.from(earlier.slice(0, 2 * SEED_BYTES), 'hex') };
  }
}
