import { gauge, type Labels, type MetricFamily } from '../bus/metricFamilies.js';
import type { WorkerRecord } from '../bus/taskStore.js';
import type { WorkerUsage } from '../bus/messages.js';
import type { Clock } from './clock.js';
import type { WorkerConnection } from './workerConnection.js';

/** Workers that are told of one by one; of the rest of a larger platform only the sums are told. */
const MAX_NAMED = 200;
const STATES = ['joining', 'ready', 'busy', 'suspect', 'draining'];

/** What a dispatcher tells of its workers, which speak to nobody else. */
export function workerFamilies(
  dispatcher: string,
  connections: readonly WorkerConnection[],
  mode: WorkerRecord['mode'],
  clock: Pick<Clock, 'wallMs'>,
): MetricFamily[] {
  const workers = connections.map((connection) => connection.record(dispatcher, mode));
  const each = (valueOf: (worker: WorkerRecord) => number): [Labels, number][] =>
    workers.slice(0, MAX_NAMED).map((worker) => [workerLabels(dispatcher, worker.name), valueOf(worker)]);
  const sum = (valueOf: (worker: WorkerRecord) => number): [Labels, number][] => [
    [{}, workers.reduce((total, worker) => total + valueOf(worker), 0)],
  ];
  return [
    gauge(
      'up',
      '',
      each(({ state }) => (state === 'suspect' ? 0 : 1)),
    ),
    gauge(
      'workers',
      'Workers connected to a dispatcher, by the state of their machine.',
      STATES.map((state) => [{ state }, workers.filter((worker) => worker.state === state).length]),
    ),
    gauge(
      'slots',
      'Tasks that the workers of a dispatcher can run at once.',
      sum(({ slots }) => slots),
    ),
    gauge(
      'slots_busy',
      'Of those, the ones that have a task.',
      sum(({ running }) => running),
    ),
    gauge(
      'worker_slots',
      'Tasks that a worker can run at once.',
      each(({ slots }) => slots),
    ),
    gauge(
      'worker_slots_busy',
      'Of those, the ones that have a task.',
      each(({ running }) => running),
    ),
    gauge(
      'worker_tasks_queued',
      'Tasks that wait on the worker, behind those in its slots.',
      each(({ queued }) => queued),
    ),
    gauge(
      'worker_heartbeat_age_seconds',
      'Since the worker was last heard of.',
      each(({ heartbeatAtMs }) => Math.max(0, clock.wallMs() - heartbeatAtMs) / 1_000),
    ),
    ...usageFamilies(dispatcher, connections.slice(0, MAX_NAMED)),
  ];
}

/** Under the names that prom-client gives them in the other processes. */
function usageFamilies(dispatcher: string, connections: readonly WorkerConnection[]): MetricFamily[] {
  const family = (name: string, type: MetricFamily['type'], valueOf: (usage: WorkerUsage) => number): MetricFamily => ({
    ...{ name, type, help: '' },
    samples: connections.flatMap(({ name: worker, usage }) =>
      usage ? [{ suffix: '', labels: workerLabels(dispatcher, worker), value: valueOf(usage) }] : [],
    ),
  });
  return [
    family('process_cpu_seconds_total', 'counter', ({ cpuSeconds }) => cpuSeconds),
    family('process_resident_memory_bytes', 'gauge', ({ residentBytes }) => residentBytes),
    family('nodejs_eventloop_lag_p99_seconds', 'gauge', ({ loopLagSeconds }) => loopLagSeconds),
  ];
}

/** Workers of several dispatchers may have the same name. */
const workerLabels = (dispatcher: string, name: string): Labels => ({
  component: 'worker',
  instance: name,
  dispatcher,
});
