import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Tells the events of this platform's own processes from those of anybody else who can write to the same NATS: an HMAC-SHA256
 * under a key that lies in Redis (`bus/redis/sealKey.ts`). Whoever can make a seal could as well have written to Redis.
 *
 * Nothing waits for the key. Without it nothing is sealed and no seal is believed, and then what an event says is looked up in
 * Redis, as without NATS: slower, never wrong. An event that is sent again is as true as it was.
 */
export class EventSeal {
  private key: string | undefined;

  /** Also replaces one: a Redis that came back without its data has another. */
  setKey(key: string): void {
    this.key = key;
  }

  /** Undefined while the key is not known. */
  of(event: Uint8Array): string | undefined {
    return this.key === undefined ? undefined : this.hmac(this.key, event).toString('base64');
  }

  isGenuine(event: Uint8Array, seal: string): boolean {
    if (this.key === undefined) return false;
    const given = Buffer.from(seal, 'base64');
    const right = this.hmac(this.key, event);
    return given.length === right.length && timingSafeEqual(given, right);
  }

  private hmac(key: string, event: Uint8Array): Buffer {
    return createHmac('sha256', key).update(event).digest();
  }
}
