import type { MetricFamily } from '../../bus/metricFamilies.js';
import type { Latency } from './frame.js';

const END_TO_END = 'mpcsfaas_task_end_to_end_seconds';
/** Percentiles are of the tasks that ended in about so long. */
const SPAN_MS = 5_000;

interface Look {
  atMs: number;
  /** By process, tasks up to each bound (seconds), those of lower bounds included. */
  totals: Map<string, Map<number, number>>;
}

/** Percentiles of the latest tasks, from the totals that each dispatcher keeps since it started. */
export class RecentLatencies {
  private readonly looks: Look[] = [];

  observe(atMs: number, families: readonly MetricFamily[]): void {
    this.looks.push({ atMs, totals: totalsOf(families) });
    while (this.looks.length > 2 && (this.looks[1]?.atMs ?? atMs) <= atMs - SPAN_MS) this.looks.shift();
  }

  /** Null when nothing ended, or nothing is known. */
  latest(): Latency | null {
    const [before] = this.looks;
    const now = this.looks.at(-1);
    if (!before || !now || before === now) return null;
    const counts = new Map<number, number>();
    for (const [process, totals] of now.totals) {
      const earlier = before.totals.get(process);
      // Not known before, or started anew: what it has counted may be from any time before these looks.
      if (!earlier || (totals.get(Infinity) ?? 0) < (earlier.get(Infinity) ?? 0)) continue;
      for (const [bound, total] of totals) {
        counts.set(bound, (counts.get(bound) ?? 0) + total - (earlier.get(bound) ?? 0));
      }
    }
    const ascending = [...counts].sort(([one], [other]) => one - other);
    const all = ascending.at(-1)?.[1] ?? 0;
    if (all === 0) return null;
    return { p50Ms: percentile(ascending, 0.5 * all), p95Ms: percentile(ascending, 0.95 * all) };
  }
}

function totalsOf(families: readonly MetricFamily[]): Look['totals'] {
  const totals: Look['totals'] = new Map();
  const samples = families.find(({ name }) => name === END_TO_END)?.samples ?? [];
  for (const { suffix, labels, value } of samples) {
    if (suffix !== '_bucket') continue;
    const process = labels['instance'] ?? '';
    const ofProcess = totals.get(process) ?? new Map<number, number>();
    totals.set(process, ofProcess.set(Number(labels['le']?.replace('+Inf', 'Infinity')), value));
  }
  return totals;
}

/** In milliseconds; between two bounds as if tasks were spread evenly. */
function percentile(ascending: readonly [bound: number, total: number][], rank: number): number {
  let [lowerBound, lowerTotal] = [0, 0];
  for (const [bound, total] of ascending) {
    if (total >= rank) {
      if (bound === Infinity) return lowerBound * 1_000;
      const share = total === lowerTotal ? 1 : (rank - lowerTotal) / (total - lowerTotal);
      return (lowerBound + (bound - lowerBound) * share) * 1_000;
    }
    [lowerBound, lowerTotal] = [bound, total];
  }
  return lowerBound * 1_000;
}
