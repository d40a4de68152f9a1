/** Run times are counted by quarter octaves: a percentile is exact within 9 %. */
const BUCKETS_PER_OCTAVE = 4;

/** Tasks of a function that dispatchers have seen the end of, counted. Those that ended without having run are not among them. */
export interface FunctionRuns {
  completed: number;
  failed: number;
  /** Of the completed ones, together. */
  runTimeUs: number;
  /** Completed ones by `bucketOf` their run time. */
  buckets: ReadonlyMap<number, number>;
}

export interface RunTimeSummary {
  meanUs: number;
  p50Us: number;
  p95Us: number;
  p99Us: number;
}

export function bucketOf(runTimeUs: number): number {
  return Math.max(0, Math.floor(BUCKETS_PER_OCTAVE * Math.log2(Math.max(1, runTimeUs))));
}

/** Undefined when none has completed. */
export function summaryOfRuns({ completed, runTimeUs, buckets }: FunctionRuns): RunTimeSummary | undefined {
  if (completed === 0) return undefined;
  const sorted = [...buckets].sort(([a], [b]) => a - b);
  const percentile = (share: number): number => {
    let left = Math.ceil(completed * share);
    const found = sorted.find(([, count]) => (left -= count) <= 0) ?? sorted.at(-1);
    return Math.round(2 ** (((found?.[0] ?? 0) + 0.5) / BUCKETS_PER_OCTAVE));
  };
  return {
    meanUs: Math.round(runTimeUs / completed),
    p50Us: percentile(0.5),
    p95Us: percentile(0.95),
    p99Us: percentile(0.99),
  };
}
