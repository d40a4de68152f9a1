import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { EventSeal } from '../eventSeal.js';
import { EVENT_SEAL_KEY } from './keys.js';

/**
 * Gives the seal its key, at each connection anew; the first process of a platform chooses it. While it cannot be had, events are
 * not believed and Redis is read instead.
 */
export function keepSealKey(redis: Redis, seal: EventSeal): void {
  const learn = async (): Promise<void> => {
    const key =
      (await redis.get(EVENT_SEAL_KEY)) ??
      (await redis.set(EVENT_SEAL_KEY, randomBytes(32).toString('hex'), 'NX').then(() => redis.get(EVENT_SEAL_KEY)));
    if (key !== null) seal.setKey(key);
  };
  redis.on('ready', () => void learn().catch(() => undefined));
}
