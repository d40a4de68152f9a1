import type { Clock } from './clock.js';

/** So many intervals without a beat of one's own: the process was stopped, or had no processor. */
const MISSED = 2;

/**
 * Tells a process that it was away itself. Then the silence of others means nothing: what they said waits to be heard.
 */
export class OwnPulse {
  private lastMs: number;

  constructor(
    private readonly intervalMs: number,
    private readonly clock: Clock,
  ) {
    this.lastMs = clock.now();
  }

  get isOverdue(): boolean {
    return this.clock.now() - this.lastMs > MISSED * this.intervalMs;
  }

  /** Once each interval. */
  beat(): void {
    this.lastMs = this.clock.now();
  }
}
