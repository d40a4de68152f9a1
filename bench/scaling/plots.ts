import type { Panel, Plot } from './plot.js';
import { KINDS, type Kind, MODES, type Point } from './study.js';

/** A file name and what is drawn in it. */
export interface NamedPlot {
  readonly name: string;
  readonly plot: Plot;
}

const WHAT: Record<Kind['name'], string> = {
  'no-op': 'no-op',
  sleep: 'sleep 10 ms',
  CPU: 'compute 2 ms',
};

/** The study in pictures: for each number of tasks per worker throughput, efficiency, latency and overhead. */
export function studyPlots(points: readonly Point[], cores: number): NamedPlot[] {
  const workers = [...new Set(points.map((point) => point.workers))];
  const sizes = [...new Set(points.map(({ tasksPerWorker }) => tasksPerWorker))];
  return sizes.flatMap((size) => {
    const own = points.filter(({ tasksPerWorker }) => tasksPerWorker === size);
    const common = { xTitle: 'workers (one Python process each)', xTicks: workers };
    const panels = (kinds: readonly Kind[], value: (point: Point) => number | undefined): Panel[] =>
      kinds.map(({ name }) => ({
        title: WHAT[name],
        lines: MODES.map((mode) => ({
          name: mode,
          points: own
            .filter((point) => point.kind === name && point.mode === mode)
            .flatMap((point) => {
              const y = value(point);
              return y === undefined ? [] : [[point.workers, y] as const];
            }),
        })).filter((line) => line.points.length > 0),
      }));
    const title = (what: string): string => `${what}, ${size} tasks per worker`;
    const working = KINDS.filter(({ workMs }) => workMs > 0);
    const plots: NamedPlot[] = [
      {
        name: `throughput-${size}`,
        plot: {
          ...{ ...common, title: title('Throughput'), yTitle: 'tasks per second (log)', yScale: 'log' as const },
          subtitle: `Higher is better. Sleeps should double with the workers; computing cannot beyond ${cores} cores.`,
          panels: panels(KINDS, ({ throughput }) => throughput),
        },
      },
      {
        name: `efficiency-${size}`,
        plot: {
          ...{ ...common, title: title('Efficiency'), yTitle: 'ideal time / time', yScale: 'linear' as const },
          subtitle: `1 is perfect: nothing but the work itself. Ideal for computing knows of the ${cores} cores.`,
          panels: panels(working, ({ efficiency }) => efficiency),
          reference: { y: 1, name: 'perfect' },
        },
      },
      {
        name: `weak-scaling-${size}`,
        plot: {
          ...{
            ...common,
            title: title('Weak scaling'),
            yTitle: 'time on 1 worker / time on N',
            yScale: 'linear' as const,
          },
          subtitle: `1 is perfect: N workers do N times the work in the same time. Only sleeps can, on ${cores} cores.`,
          panels: panels(KINDS, ({ weakEfficiency }) => weakEfficiency),
          reference: { y: 1, name: 'perfect' },
        },
      },
      {
        name: `latency-${size}`,
        plot: {
          ...{
            ...common,
            title: title('Latency (median)'),
            yTitle: 'ms from submit to result (log)',
            yScale: 'log' as const,
          },
          subtitle: 'Lower is better. All tasks are submitted at once: most of it is waiting for the tasks before.',
          panels: panels(KINDS, ({ latencyP50Ms }) => latencyP50Ms),
        },
      },
      {
        name: `overhead-${size}`,
        plot: {
          ...{ ...common, title: title('Overhead'), yTitle: 'ms per task of a worker (log)', yScale: 'log' as const },
          subtitle: "Lower is better. What a task adds to its worker's time beyond its own work.",
          panels: panels(KINDS, ({ overheadMs }) => Math.max(overheadMs, 0.001)),
        },
      },
    ];
    return plots;
  });
}
