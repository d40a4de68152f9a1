import { bucketOf, type FunctionRuns } from '../bus/functionRuns.js';

/** Functions counted between two heartbeats; what is beyond is not counted. */
const MAX_FUNCTIONS = 10_000;

interface Tally extends FunctionRuns {
  buckets: Map<number, number>;
}

/** Ends of tasks counted by function, in memory until a heartbeat takes them to the store: one write for however many tasks. */
export class FunctionTallies {
  private tallies = new Map<string, Tally>();

  count(functionId: string, state: 'completed' | 'failed', runTimeUs: number): void {
    let tally = this.tallies.get(functionId);
    if (!tally) {
      if (this.tallies.size >= MAX_FUNCTIONS) return;
      tally = { completed: 0, failed: 0, runTimeUs: 0, buckets: new Map() };
      this.tallies.set(functionId, tally);
    }
    tally[state]++;
    if (state === 'failed') return;
    tally.runTimeUs += runTimeUs;
    const bucket = bucketOf(runTimeUs);
    tally.buckets.set(bucket, (tally.buckets.get(bucket) ?? 0) + 1);
  }

  /** What was counted since the last time. */
  take(): ReadonlyMap<string, FunctionRuns> {
    const taken = this.tallies;
    this.tallies = new Map();
    return taken;
  }
}
