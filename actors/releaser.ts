import type { TaskRef } from '../bus/messages.js';
import { OneWriter } from '../bus/oneWriter.js';
import type { TaskStore } from '../bus/taskStore.js';
import type { TransitionLog } from '../bus/transitionLog.js';

export interface ReleaserDeps {
  store: Pick<TaskStore, 'release'>;
  transition: TransitionLog;
  /** The store has decided: the worker can forget the attempts. */
  acknowledge: (worker: string, released: TaskRef[]) => void;
  /** So many tasks are in the queue again. */
  onReleased: (count: number) => void;
  onError: (error: unknown) => void;
}

/** Attempts given back with one call of the store. */
const MAX_BATCH = 256;

/**
 * Gives attempts back to the queue that have not started: taken back, drained, never received. Where the store cannot be reached
 * they are left to their leases, and a worker that holds them says so again.
 */
export class Releaser {
  private readonly writer: OneWriter<TaskRef & { worker: string }>;

  constructor(private readonly deps: ReleaserDeps) {
    this.writer = new OneWriter((batch) => this.flush(batch), { maxItems: MAX_BATCH, onError: deps.onError });
  }

  /** `worker` is the name of the one that had them, '' when none had. */
  push(worker: string, tasks: readonly TaskRef[]): void {
    for (const { taskId, fence } of tasks) this.writer.push({ taskId, fence, worker });
  }

  idle(): Promise<void> {
    return this.writer.idle();
  }

  private async flush(batch: (TaskRef & { worker: string })[]): Promise<void> {
    const released = await this.deps.store.release(batch);
    const byWorker = new Map<string, TaskRef[]>();
    batch.forEach(({ taskId, fence, worker }, index) => {
      if (released[index]) this.deps.transition('task', taskId, 'running', 'task.released', 'queued', { worker });
      byWorker.set(worker, [...(byWorker.get(worker) ?? []), { taskId, fence }]);
    });
    for (const [worker, refs] of byWorker) this.deps.acknowledge(worker, refs);
    this.deps.onReleased(batch.length);
  }
}
