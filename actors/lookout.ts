import type { TaskStore } from '../bus/taskStore.js';
import { type Clock, every } from './clock.js';

export interface LookoutOptions {
  heartbeatMs: number;
  /** Between two looks, unless nothing is to be expected. */
  pollMs: number;
}

export interface LookoutDeps {
  store: Pick<TaskStore, 'nextDueMs'>;
  clock: Clock;
  /** Looks into the queue, and puts into it what is due. */
  look: () => void;
  onError: (error: unknown) => void;
}

/** Without news for so many heartbeats, and with nothing due in as many, a dispatcher is idle. */
const QUIET_HEARTBEATS = 2;
/** Somebody is heard in each heartbeat; after so many without a word, that there is no news need not mean that there are no tasks. */
const DEAF_HEARTBEATS = 2.5;

/**
 * When a dispatcher looks into the queue though nobody has told it to, since news can get lost: every `pollMs`, and when it is idle once a
 * heartbeat, in the same go as it says that it is alive. Ten looks a second were half of what an idle platform cost.
 *
 * It is idle when there has been no news lately, nothing becomes due soon, and others are heard: their heartbeats come the same way as
 * their news of tasks. What it misses all the same waits for one heartbeat.
 */
export class Lookout {
  private newsAtMs: number;
  private heardAtMs: number;
  private stopPolling: (() => void) | undefined;
  private closed = false;

  constructor(
    private readonly options: LookoutOptions,
    private readonly deps: LookoutDeps,
  ) {
    this.newsAtMs = this.heardAtMs = deps.clock.now();
  }

  /** Tasks come or end: more may follow, and be delayed or retried. */
  news(): void {
    this.newsAtMs = this.deps.clock.now();
    if (!this.closed) this.stopPolling ??= every(this.deps.clock, this.options.pollMs, this.deps.look);
  }

  /** An event has come, whatever it says. */
  heard(): void {
    this.heardAtMs = this.deps.clock.now();
  }

  /** Every heartbeat. */
  beat(): void {
    const { heartbeatMs } = this.options;
    const now = this.deps.clock.now();
    if (now - this.heardAtMs > DEAF_HEARTBEATS * heartbeatMs) this.news();
    if (now - this.newsAtMs <= QUIET_HEARTBEATS * heartbeatMs) return;
    this.deps.look();
    void this.restUnlessDue();
  }

  stop(): void {
    this.closed = true;
    this.rest();
  }

  private async restUnlessDue(): Promise<void> {
    const askedAtMs = this.deps.clock.now();
    try {
      const dueMs = (await this.deps.store.nextDueMs()) ?? Infinity;
      if (dueMs <= QUIET_HEARTBEATS * this.options.heartbeatMs) this.news();
      else if (this.newsAtMs < askedAtMs) this.rest();
    } catch (error) {
      this.deps.onError(error);
      this.news();
    }
  }

  private rest(): void {
    this.stopPolling?.();
    this.stopPolling = undefined;
  }
}
