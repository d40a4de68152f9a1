import type { FailureType } from './messages.js';
import type { MachineName, TransitionLog } from './transitionLog.js';

/**
 * What one process counts, in plain numbers that cost the hot path nothing measurable; they become metrics when somebody asks for
 * them (`processFamilies`). Actors are handed one of these, and a fresh one that nobody reads where there is nobody to ask.
 *
 * Counted per batch where that will do, per task where it must be (durations), and never by task, function or client.
 */
export class ProcessMetrics {
  readonly transitions = new TransitionCounts();
  /** Tasks that failed for good, by why, but for those whose transitions tell it. */
  readonly failures = new Map<FailureType, number>();
  /** From the queue to a dispatcher, seconds; of first attempts of tasks that were submitted without a delay. */
  readonly queueWait = new Histogram(DURATION_BOUNDS);
  /** Seconds in the function. */
  readonly runTime = new Histogram(DURATION_BOUNDS);
  /** From submission to the recorded end, seconds; of tasks that were submitted without a delay. */
  readonly endToEnd = new Histogram(DURATION_BOUNDS);
  /** How many tasks travel together, by hop. */
  readonly batches: Record<Hop, Histogram> = {
    submit: new Histogram(BATCH_BOUNDS),
    claim: new Histogram(BATCH_BOUNDS),
    run: new Histogram(BATCH_BOUNDS),
    results: new Histogram(BATCH_BOUNDS),
    settle: new Histogram(BATCH_BOUNDS),
    release: new Histogram(BATCH_BOUNDS),
  };
  /** Heartbeats of workers that have arrived. */
  heartbeats = 0;
  leasesRenewed = 0;
  /** Leases that ran out, their tasks taken away. */
  leasesReaped = 0;
  /** Results of attempts that had lost their lease: refused. */
  staleResults = 0;
  /** Results that had been recorded before: acknowledged again. */
  duplicateResults = 0;

  /** HTTP requests, by route. */
  readonly routes: RouteMetrics[] = [];

  failed(type: FailureType, count = 1): void {
    this.failures.set(type, (this.failures.get(type) ?? 0) + count);
  }
}

/**
 * `submit`: API to Redis; `claim`: Redis to dispatcher; `run`: dispatcher to worker; `results`: worker to dispatcher; `settle` and
 * `release`: dispatcher to Redis.
 */
export type Hop = 'submit' | 'claim' | 'run' | 'results' | 'settle' | 'release';

/** Seconds: from a function that does nothing to one that takes an hour. */
const DURATION_BOUNDS = [
  ...[0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
  ...[1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600],
];
const HTTP_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30];
const BATCH_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** Counts of values in ranges; tens of nanoseconds for each. */
export class Histogram {
  /** Of each range apart; the last one is for what is above all bounds. */
  readonly counts: number[];
  sum = 0;

  /** @param bounds upper ends of the ranges, ascending; they belong to their range */
  constructor(readonly bounds: readonly number[]) {
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value <= (bounds[middle] as number)) high = middle;
      else low = middle + 1;
    }
    counts[low] = (counts[low] as number) + 1;
    this.sum += value;
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }
}

/** Answers of one route. */
export class RouteMetrics {
  readonly seconds = new Histogram(HTTP_BOUNDS);
  readonly byStatus = new Map<number, number>();

  /** @param route its pattern, never a path */
  constructor(
    readonly method: string,
    readonly route: string,
  ) {}

  observe(status: number, seconds: number): void {
    this.seconds.observe(seconds);
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1);
  }
}

export interface TransitionCount {
  readonly machine: MachineName;
  readonly from: string;
  readonly event: string;
  readonly to: string;
  count: number;
}

/** How often each transition of the machines was made. There are as many as arrows in the drawings, so they are looked through. */
class TransitionCounts {
  private readonly byEvent = new Map<string, TransitionCount[]>();

  add(machine: MachineName, from: string, event: string, to: string): void {
    const known = this.byEvent.get(event);
    if (known !== undefined) {
      for (const count of known) {
        if (count.to === to && count.from === from && count.machine === machine) {
          count.count++;
          return;
        }
      }
    }
    const first = { machine, from, event, to, count: 1 };
    if (known === undefined) this.byEvent.set(event, [first]);
    else known.push(first);
  }

  *all(): Iterable<TransitionCount> {
    for (const counts of this.byEvent.values()) yield* counts;
  }
}

/** The same log, each line of which is counted, whether it is written or not. */
export function counted(log: TransitionLog, counts: TransitionCounts): TransitionLog {
  return (machine, id, from, event, to, details) => {
    counts.add(machine, from, event, to);
    log(machine, id, from, event, to, details);
  };
}
