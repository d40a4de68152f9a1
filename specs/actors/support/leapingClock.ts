import { type Clock, systemClock } from '../../../actors/clock.js';

/** Time as one actor sees it, which leaps when a spec says so: a lease is over at once, and no stall of the machine makes one end. */
export class LeapingClock implements Clock {
  readonly wallMs = (): number => systemClock.wallMs();
  readonly setTimeout = (action: () => void, delayMs: number): unknown => systemClock.setTimeout(action, delayMs);
  readonly clearTimeout = (timer: unknown): void => systemClock.clearTimeout(timer);
  private aheadMs = 0;

  now(): number {
    return systemClock.now() + this.aheadMs;
  }

  leap(ms: number): void {
    this.aheadMs += ms;
  }
}
