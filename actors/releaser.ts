import type { TaskRef } from '../bus/messages.js';
import { PlatformError } from '../bus/errors.js';
import type { ProcessMetrics } from '../bus/metrics.js';
import { OneWriter } from '../bus/oneWriter.js';
import type { TaskStore } from '../bus/taskStore.js';
import type { TransitionLog } from '../bus/transitionLog.js';
import type { Clock } from './clock.js';

export interface ReleaserDeps {
  store: Pick<TaskStore, 'release'>;
  clock: Clock;
  transition: TransitionLog;
  counts: ProcessMetrics;
  /** The store has decided: the worker can forget the attempts. */
  acknowledge: (worker: string, released: TaskRef) => void;
  /** So many tasks are in the queue again. */
  onReleased: (count: number) => void;
  onError: (error: unknown) => void;
}

/** Attempts given back with one call of the store. */
const MAX_BATCH = 256;
const RETRY_DELAY_MS = 200;

/**
 * Gives attempts back to the queue that have not started: taken back, drained, never received. While the store is away it tries
 * again, so that an outage costs them no attempt.
 */
export class Releaser {
  private readonly writer: OneWriter<TaskRef & { worker: string }>;
  private readonly pending = new Set<string>();
  private closed = false;

  constructor(private readonly deps: ReleaserDeps) {
    this.writer = new OneWriter((batch) => this.flush(batch), { maxItems: MAX_BATCH, onError: deps.onError });
  }

  /** `worker` is the name of the one that had them, '' when none had. */
  push(worker: string, tasks: readonly TaskRef[]): void {
    for (const { taskId, fence } of tasks) {
      const key = `${taskId} ${fence}`;
      if (this.pending.has(key)) continue; // A worker says it again until it is acknowledged.
      this.pending.add(key);
      this.writer.push({ taskId, fence, worker });
    }
  }

  idle(): Promise<void> {
    return this.writer.idle();
  }

  /** Stops trying again; what is left then is reaped when its lease runs out. */
  close(): void {
    this.closed = true;
  }

  private async release(batch: TaskRef[]): Promise<boolean[]> {
    for (;;) {
      try {
        return await this.deps.store.release(batch);
      } catch (error) {
        if (this.closed || !(error instanceof PlatformError && error.code === 'STORE_UNAVAILABLE')) throw error;
        await new Promise<void>((resolve) => this.deps.clock.setTimeout(resolve, RETRY_DELAY_MS));
      }
    }
  }

  private async flush(batch: (TaskRef & { worker: string })[]): Promise<void> {
    this.deps.counts.batches.release.observe(batch.length);
    const released = await this.release(batch).finally(() => {
      for (const { taskId, fence } of batch) this.pending.delete(`${taskId} ${fence}`);
    });
    batch.forEach(({ taskId, fence, worker }, index) => {
      if (released[index]) this.deps.transition('task', taskId, 'running', 'task.released', 'queued', { worker });
      this.deps.acknowledge(worker, { taskId, fence });
    });
    this.deps.onReleased(batch.length);
  }
}
