import type { Bus } from '../bus/bus.js';
import type { DispatcherMessage, TaskRef, WorkerMessage } from '../bus/messages.js';
import type { Clock } from './clock.js';
import type { WorkerConnection } from './workerConnection.js';

export interface CancellationsDeps {
  workers: Pick<Bus<WorkerMessage, DispatcherMessage>, 'send'>;
  clock: Clock;
  all: () => Iterable<WorkerConnection>;
}

/** A task on its way from Redis to a worker is there long before. */
const REMEMBERED_MS = 10_000;
const MAX_REMEMBERED = 10_000;

/**
 * Stops cancelled attempts at the workers that have them. The word of a cancellation can overtake the task, which this dispatcher has
 * claimed and not sent yet: that one is remembered, and not sent at all.
 */
export class Cancellations {
  /** Fences of attempts that no worker here had, until when; in that order. */
  private readonly early = new Map<string, number>();

  constructor(private readonly deps: CancellationsDeps) {}

  cancel(tasks: readonly TaskRef[]): void {
    let rest = tasks;
    for (const worker of this.deps.all()) {
      const own = rest.filter((ref) => worker.remove(ref) !== undefined);
      if (own.length === 0) continue;
      this.deps.workers.send(worker.address, { type: 'abort', tasks: own });
      rest = rest.filter((ref) => !own.includes(ref));
    }
    const now = this.deps.clock.now();
    for (const ref of rest) this.early.set(keyOf(ref), now + REMEMBERED_MS);
    for (const [key, untilMs] of this.early) {
      if (untilMs >= now && this.early.size <= MAX_REMEMBERED) break;
      this.early.delete(key);
    }
  }

  /** The tasks without those that were cancelled after they were claimed. */
  without<T extends TaskRef>(tasks: T[]): T[] {
    return this.early.size === 0 ? tasks : tasks.filter((task) => !this.early.delete(keyOf(task)));
  }
}

const keyOf = ({ taskId, fence }: TaskRef): string => `${taskId} ${fence}`;
