import type { Clock } from '../../actors/clock.js';
import type { Owner, Timeline, TimelineEvent } from './timeline.js';

/** Any time in the past of whoever reads this; its distance from the monotonic clock is a process's own affair. */
const WALL_START_MS = 1_700_000_000_000;

/**
 * A process of the simulation: running -> paused (SIGSTOP) -> running, and from either -> dead (SIGKILL). While it is paused its
 * timers and what arrives for it wait; once it is dead they never happen.
 */
export class SimulatedProcess implements Owner {
  alive = true;
  paused = false;
  private readonly deferred: TimelineEvent[] = [];

  constructor(
    readonly name: string,
    private readonly timeline: Timeline,
  ) {}

  pause(): void {
    this.paused = true;
  }

  /** Timers and messages that have become due meanwhile happen now, in the order in which they became due. */
  resume(): void {
    this.paused = false;
    for (const event of this.deferred.splice(0)) this.timeline.resume(event);
  }

  kill(): void {
    this.alive = false;
    this.deferred.length = 0;
  }

  defer(event: TimelineEvent): void {
    this.deferred.push(event);
  }
}

/** The clock of one process: time passes only when the simulation takes a step. */
export class VirtualClock implements Clock {
  private wallOffsetMs = 0;

  constructor(
    private readonly timeline: Timeline,
    private readonly owner?: Owner,
  ) {}

  now(): number {
    return this.timeline.nowMs;
  }

  wallMs(): number {
    return WALL_START_MS + Math.floor(this.timeline.nowMs) + this.wallOffsetMs;
  }

  /** Somebody sets the wall clock. */
  jumpWall(byMs: number): void {
    this.wallOffsetMs += byMs;
  }

  setTimeout(action: () => void, delayMs: number): unknown {
    return this.timeline.schedule(delayMs, action, this.owner);
  }

  clearTimeout(timer: unknown): void {
    if (timer !== undefined) (timer as TimelineEvent).cancelled = true;
  }
}

/**
 * Lets all promises that can go on do so: actors answer an event through chains of them. A turn of the event loop is taken only
 * when no microtask is left.
 */
export const settlePromises = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
