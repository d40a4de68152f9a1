/** Weight of the newest observation: about ten observations are remembered. */
const NEWEST = 0.2;

/** How long tasks take, learnt from their results: the exponentially weighted mean over all functions. */
export class RunTimes {
  private recentMs: number | undefined;

  observe(runTimeMs: number): void {
    this.recentMs = this.recentMs === undefined ? runTimeMs : this.recentMs + NEWEST * (runTimeMs - this.recentMs);
  }

  /** What the next task from the queue will probably take. Undefined until the first result. */
  get recent(): number | undefined {
    return this.recentMs;
  }
}
