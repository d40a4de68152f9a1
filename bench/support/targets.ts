import { readable } from './statistics.js';
import type { Table } from './table.js';

type Figures = Readonly<Record<string, number>>;

/** One thing that must be true in the end, and the figures that show it. Of several figures the worst counts. */
interface Target {
  readonly what: string;
  readonly figures: readonly string[];
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
  /** What to say of the figure besides itself. */
  readonly unit: string;
}

const modes = (figure: string): string[] => ['push', 'pull', 'local'].map((mode) => `roundTrips.${mode}.${figure}`);
const target = (what: string, figures: string | string[], bound: Target['bound'], unit = ''): Target => ({
  ...{ what, bound, unit },
  figures: typeof figures === 'string' ? [figures] : figures,
});

/** Of issue 4, and some of issues 5 to 7. Those that name peers are held against the last `make bench-peers`. */
export const TARGETS: readonly Target[] = [
  target('1  batch throughput, Python client', 'throughput.pythonToPool', { atLeast: 1.5 }, 'x pool'),
  target('1  the same, bare-bones client', 'throughput.bareToPool', { atLeast: 1.5 }, 'x pool'),
  target('1  moonshot: the same', 'throughput.bareToPool', { atLeast: 3 }, 'x pool'),
  target('1  moonshot: the same', 'throughput.bare', { atLeast: 30_000 }, 'tasks/s'),
  target('1  processor time per task in all', 'throughput.cpuUsPerTask', { atMost: 100 }, 'us'),
  target('1  appendfsync always', 'variants.alwaysToEverysec', { atLeast: 0.7 }, 'x everysec'),
  target(
    '1  batch throughput, Python client',
    'peers.throughputToBest',
    { atLeast: 10 },
    'x best of Celery, Dask, Parsl',
  ),
  target('1  single submits, 64 connections', 'peers.singlesToCelery', { atLeast: 6 }, 'x Celery apply_async'),
  target('2  round trip p50, worst mode', modes('p50Ms'), { atMost: 1 }, 'ms'),
  target('2  round trip p99, worst mode', modes('p99Ms'), { atMost: 4 }, 'ms'),
  target('2  round trip p50, Python client', 'peers.tripToParsl', { atMost: 1 }, 'x Parsl'),
  target('2  round trip p50, Python client', 'peers.tripToCelery', { atMost: 0.5 }, 'x Celery'),
  target('3  efficiency of 1,000 x sleep(10 ms)', 'naps.efficiency', { atLeast: 0.95 }),
  target('3  pull against push', 'variants.pullToPush', { atLeast: 0.9 }, 'x push'),
  target('3  idle platform', 'idle.percentOfOneCore', { atMost: 2 }, '% of one core'),
  target('4  1 MiB in and out', 'large.perSecond', { atLeast: 200 }, 'tasks/s'),
  target('5  submit at 1,000,000 queued', 'queueDepth.submitRatio', { atLeast: 0.9 }, 'x empty queue'),
  target('5  claim at 1,000,000 queued', 'queueDepth.claimRatio', { atLeast: 0.9 }, 'x empty queue'),
  target('5  Redis memory per small task', 'queueDepth.bytesPerTask', { atMost: 1024 }, 'bytes'),
  target('5  finished tasks expire', 'queueDepth.finishedExpire', { atLeast: 1 }, '(1: all)'),
  target('issue 5: CPU of the client for a task', 'executor.clientCpuUs', { atMost: 40 }, 'us'),
  target('issue 6: throughput with 5 dashboards open', 'watched.dashboards', { atLeast: 0.95 }, 'x alone'),
  target('issue 6: throughput with metrics scraped', 'watched.scraped', { atLeast: 0.95 }, 'x alone'),
  target('issue 7: throughput with functions in `process`', 'sandbox.processToNone', { atLeast: 0.95 }, 'x none'),
  target('issue 7: throughput with security on', 'security.toOpen', { atLeast: 0.85 }, 'x open'),
  target('7  make bench', 'bench.minutes', { atMost: 10 }, 'minutes'),
];

export function targetTable(figures: Figures, targets: readonly Target[] = TARGETS): Table {
  return {
    title: 'Targets of issues 4 to 7',
    columns: ['', 'wanted', 'figure', ''],
    rows: targets.map((one) => {
      const value = worst(one, figures);
      const wanted = 'atLeast' in one.bound ? `>= ${readable(one.bound.atLeast)}` : `<= ${readable(one.bound.atMost)}`;
      return [one.what, `${wanted} ${one.unit}`.trim(), value ?? '-', verdict(one, value)];
    }),
    notes: ['6 (no short task waits behind a long one while a slot is free) is shown by specs, not by this bench'],
  };
}

/** How many targets the figures meet, of how many that were measured. */
export function countMet(figures: Figures, targets: readonly Target[] = TARGETS): { met: number; measured: number } {
  const verdicts = targets.map((one) => verdict(one, worst(one, figures)));
  return {
    met: verdicts.filter((one) => one === 'met').length,
    measured: verdicts.filter((one) => one !== 'not measured').length,
  };
}

function verdict({ bound }: Target, value: number | undefined): 'met' | 'NOT MET' | 'not measured' {
  if (value === undefined || Number.isNaN(value)) return 'not measured';
  const met = 'atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost;
  return met ? 'met' : 'NOT MET';
}

/** Undefined when one of the figures is missing: what is not known is not met. */
function worst({ figures: names, bound }: Target, figures: Figures): number | undefined {
  const values = names.map((name) => figures[name]);
  if (values.some((value) => value === undefined)) return undefined;
  const known = values as number[];
  return 'atLeast' in bound ? Math.min(...known) : Math.max(...known);
}
