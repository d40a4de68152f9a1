import type { Table } from '../support/table.js';
import type { Point } from './study.js';

/** One table per kind of task and number of tasks. */
export function studyTables(points: readonly Point[]): Table[] {
  const sections = [
    ...new Set(points.map(({ kind, tasksPerWorker }) => `${kind}, ${tasksPerWorker} tasks per worker`)),
  ];
  return sections.map((title) => ({
    title,
    columns: [
      'mode',
      'workers',
      'tasks/s',
      'latency p50 ms',
      'p99 ms',
      'overhead ms/task',
      'efficiency',
      'weak scaling',
    ],
    rows: points
      .filter(({ kind, tasksPerWorker }) => title === `${kind}, ${tasksPerWorker} tasks per worker`)
      .map((point) => [
        ...[point.mode, String(point.workers), point.throughput, point.latencyP50Ms, point.latencyP99Ms],
        ...[point.overheadMs, point.efficiency ?? '-', point.weakEfficiency],
      ]),
  }));
}
