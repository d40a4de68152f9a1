import type { ControlMessage } from '../bus/controlMessages.js';
import type { Bus } from '../bus/bus.js';
import type { TaskStore, WorkerRecord } from '../bus/taskStore.js';
import type { WorkerConnection } from './workerConnection.js';

export interface WorkerBeatsDeps {
  store: Pick<TaskStore, 'writeWorkers'>;
  control: Pick<Bus<ControlMessage, ControlMessage>, 'send'>;
  onError: (error: unknown) => void;
}

/** Tells of the workers of one dispatcher: their records to Redis, their heartbeats to the monitor. */
export class WorkerBeats {
  constructor(
    private readonly options: { id: string; mode: WorkerRecord['mode'] },
    private readonly deps: WorkerBeatsDeps,
  ) {}

  beat(workers: Iterable<WorkerConnection>): void {
    const records = [...workers].map((worker) => this.recordOf(worker));
    if (records.length === 0) return;
    void this.deps.store.writeWorkers(records).catch(this.deps.onError);
    this.report(records.filter(({ state }) => state !== 'suspect' && state !== 'joining'));
  }

  left(worker: WorkerConnection): void {
    this.report([this.recordOf(worker)]);
  }

  private recordOf(worker: WorkerConnection): WorkerRecord {
    return worker.record(this.options.id, this.options.mode);
  }

  private report(records: WorkerRecord[]): void {
    const workers = records.map(({ name, state, running, queued }) => ({ name, state, running, queued }));
    this.deps.control.send('worker.heartbeats', { type: 'worker.heartbeats', dispatcher: this.options.id, workers });
  }
}
