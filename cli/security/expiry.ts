import type { Logger } from 'pino';
import { every, systemClock } from '../../actors/clock.js';

export interface Expiring {
  readonly what: string;
  /** ISO time. */
  readonly at: string;
}

const DAY_MS = 86_400_000;
const WARN_FROM_MS = 30 * DAY_MS;
const LOOK_MS = DAY_MS / 4;

/** What is about to end, or has ended, in words. */
export function expiryWarnings(items: readonly Expiring[], nowMs: number): string[] {
  return items
    .filter(({ at }) => Date.parse(at) - nowMs < WARN_FROM_MS)
    .map(({ what, at }) => {
      const days = Math.floor((Date.parse(at) - nowMs) / DAY_MS);
      return days < 0 ? `${what} expired at ${at}` : `${what} expires at ${at}, in ${days} days`;
    });
}

/** Says so in the log, now and every few hours, from 30 days before. Returns how to stop. */
export function warnBeforeExpiry(log: Logger, items: () => readonly Expiring[]): () => void {
  const look = (): void => {
    try {
      for (const warning of expiryWarnings(items(), Date.now())) log.warn(warning);
    } catch (error) {
      log.warn({ err: error }, 'it cannot be seen when keys and certificates expire');
    }
  };
  look();
  return every(systemClock, LOOK_MS, look);
}
