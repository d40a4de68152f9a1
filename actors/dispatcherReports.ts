import type { Bus } from '../bus/bus.js';
import type { ControlMessage } from '../bus/controlMessages.js';
import { gauge, type MetricFamily } from '../bus/metricFamilies.js';
import type { DispatcherRecord, TaskStore, WorkerRecord } from '../bus/taskStore.js';
import type { Clock } from './clock.js';
import { FunctionTallies } from './functionTallies.js';
import type { Settler } from './settler.js';
import type { WorkerConnection } from './workerConnection.js';
import { workerFamilies } from './workerFamilies.js';
import type { WorkerTable } from './workerTable.js';

export interface DispatcherReportsDeps {
  store: Pick<TaskStore, 'writeWorkers' | 'writeDispatcher' | 'forgetDispatchers' | 'addFunctionRuns'>;
  control: Bus<ControlMessage, ControlMessage>;
  clock: Clock;
  onError: (error: unknown) => void;
}

/** Rates are over about so long. */
const RATE_SPAN_MS = 5_000;

/** What a dispatcher says of itself and of its workers, once a heartbeat: to Redis for whoever asks, to the monitor by event. */
export class DispatcherReports {
  private readonly tallies = new FunctionTallies();
  private readonly startedAtMs: number;
  private readonly samples: { atMs: number; completed: number; failed: number }[];

  constructor(
    private readonly options: { id: string; mode: WorkerRecord['mode'] },
    private readonly table: WorkerTable,
    private readonly settler: Settler,
    private readonly deps: DispatcherReportsDeps,
  ) {
    this.startedAtMs = deps.clock.wallMs();
    this.samples = [{ atMs: deps.clock.now(), completed: 0, failed: 0 }];
  }

  beat(draining: boolean): void {
    const { store, onError } = this.deps;
    void this.writeTallies();
    const workers = this.workers();
    void store.writeDispatcher(this.record(workers, draining)).catch(onError);
    if (workers.length === 0) return;
    void store.writeWorkers(workers).catch(onError);
    this.tell(workers.filter(({ state }) => state !== 'suspect' && state !== 'joining'));
  }

  /** A task has ended as its attempt did. */
  count(functionId: string, state: 'completed' | 'failed', runTimeUs: number): void {
    this.tallies.count(functionId, state, runTimeUs);
  }

  families(): MetricFamily[] {
    const { id } = this.options;
    return [
      gauge('tasks_in_flight', 'Tasks that the workers of a dispatcher have.', [[{}, this.table.inFlightCount()]]),
      gauge('results_pending', 'Results that wait to be recorded in Redis.', [[{}, this.settler.pending]]),
      ...workerFamilies(id, [...this.table.all()], this.options.mode, this.deps.clock),
    ];
  }

  private workers(): WorkerRecord[] {
    return [...this.table.all()].map((worker) => worker.record(this.options.id, this.options.mode));
  }

  /** A worker has said goodbye. */
  left(worker: WorkerConnection): void {
    this.tell([worker.record(this.options.id, this.options.mode)]);
  }

  /** Heartbeats of these workers, for the monitor. */
  private tell(records: WorkerRecord[]): void {
    const workers = records.map(({ name, state, running, queued }) => ({ name, state, running, queued }));
    this.deps.control.send('worker.heartbeats', { type: 'worker.heartbeats', dispatcher: this.options.id, workers });
  }

  /** It is no dispatcher any more. */
  async forget(): Promise<void> {
    await this.writeTallies();
    await this.deps.store.forgetDispatchers([this.options.id]).catch(this.deps.onError);
  }

  private async writeTallies(): Promise<void> {
    const counted = this.tallies.take();
    if (counted.size > 0) await this.deps.store.addFunctionRuns(counted).catch(this.deps.onError);
  }

  private record(workers: WorkerRecord[], draining: boolean): DispatcherRecord {
    const { completed, failed } = this.settler.stats;
    const atMs = this.deps.clock.now();
    this.samples.push({ atMs, completed, failed });
    while (this.samples.length > 2 && (this.samples[1]?.atMs ?? atMs) <= atMs - RATE_SPAN_MS) this.samples.shift();
    const [oldest = { atMs, completed, failed }] = this.samples;
    const perSecond = (count: number): number => Math.round((count * 10_000) / Math.max(1, atMs - oldest.atMs)) / 10;
    return {
      ...this.options,
      state: draining ? 'draining' : 'running',
      workers: workers.length,
      slots: workers.reduce((sum, { slots }) => sum + slots, 0),
      inFlight: this.table.inFlightCount(),
      unsettled: this.settler.pending,
      completed,
      failed,
      completedPerSecond: perSecond(completed - oldest.completed),
      failedPerSecond: perSecond(failed - oldest.failed),
      startedAtMs: this.startedAtMs,
      heartbeatAtMs: this.deps.clock.wallMs(),
    };
  }
}
