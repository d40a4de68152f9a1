import type { Bus } from '../bus/bus.js';
import type { ControlMessage } from '../bus/controlMessages.js';
import type { DispatcherMessage, TaskRef, WorkerMessage } from '../bus/messages.js';
import { attemptOf } from '../bus/outputRecord.js';
import type { Clock } from './clock.js';
import type { WorkerConnection } from './workerConnection.js';

export interface OutputFollowersDeps {
  workers: Pick<Bus<WorkerMessage, DispatcherMessage>, 'send'>;
  control: Pick<Bus<ControlMessage, ControlMessage>, 'send'>;
  clock: Clock;
  all: () => Iterable<WorkerConnection>;
}

type Follow = Extract<ControlMessage, { type: 'task.follow' }>;

/** Tasks that are not here yet; more are found when their followers ask again. */
const MAX_WANTED = 10_000;

/**
 * Brings those who read what a task prints together with the worker that runs it, also when it starts only after they asked.
 * Holds nothing of what is printed, and costs nothing while nobody reads.
 */
export class OutputFollowers {
  private readonly wanted = new Map<string, Follow & { untilMs: number }>();

  constructor(private readonly deps: OutputFollowersDeps) {}

  onFollow(follow: Follow): void {
    if (this.wanted.size < MAX_WANTED) {
      this.wanted.set(follow.taskId, { ...follow, untilMs: this.deps.clock.now() + follow.forMs });
    }
    for (const worker of this.deps.all()) this.ask(worker, worker.inFlightTasks.get(follow.taskId), follow);
  }

  /** A worker was sent tasks. */
  onGiven(worker: WorkerConnection, tasks: readonly TaskRef[]): void {
    if (this.wanted.size === 0) return;
    for (const task of tasks) {
      const follow = this.wanted.get(task.taskId);
      if (follow) this.ask(worker, task, follow);
    }
  }

  /** A part of what a task has printed; of an attempt that is not the worker's any more nobody wants to hear. */
  onOutput(worker: WorkerConnection, part: Extract<WorkerMessage, { type: 'output' }>): void {
    const { taskId, fence, offset, length, bytes } = part;
    if (worker.inFlightTasks.get(taskId)?.fence !== fence) return;
    const attempt = attemptOf(fence);
    this.deps.control.send('task.output', { type: 'task.output', taskId, attempt, offset, length, bytes });
  }

  /** To be called now and then. */
  expire(): void {
    const now = this.deps.clock.now();
    for (const [taskId, { untilMs }] of this.wanted) if (untilMs < now) this.wanted.delete(taskId);
  }

  private ask(worker: WorkerConnection, task: TaskRef | undefined, { attempt, from, forMs }: Follow): void {
    if (!task) return;
    const { taskId, fence } = task;
    const known = attemptOf(fence) === attempt ? from : 0;
    this.deps.workers.send(worker.address, { type: 'follow', taskId, fence, from: known, forMs });
  }
}
