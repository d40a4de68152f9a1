/** Weight of the newest observation: about ten observations are remembered. */
const NEWEST = 0.2;
/** Functions remembered; the oldest is forgotten first. */
const MAX_FUNCTIONS = 10_000;

/** How long functions take, learnt from their results: exponentially weighted means. */
export class RunTimes {
  private readonly byFunction = new Map<string, number>();
  private recentMs: number | undefined;

  observe(functionId: string, runTimeMs: number): void {
    const known = this.byFunction.get(functionId);
    if (known === undefined && this.byFunction.size >= MAX_FUNCTIONS) {
      const oldest = this.byFunction.keys().next().value;
      if (oldest !== undefined) this.byFunction.delete(oldest);
    }
    this.byFunction.set(functionId, known === undefined ? runTimeMs : known + NEWEST * (runTimeMs - known));
    this.recentMs = this.recentMs === undefined ? runTimeMs : this.recentMs + NEWEST * (runTimeMs - this.recentMs);
  }

  of(functionId: string): number | undefined {
    return this.byFunction.get(functionId);
  }

  /** Over all functions: what the next task from the queue will probably take. Undefined until the first result. */
  get recent(): number | undefined {
    return this.recentMs;
  }
}
