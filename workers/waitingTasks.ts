/** Orders that are not in a process: those for a warm one, and those that want one of their own. */
import { type PoolTask, TaskQueue } from './poolTask.js';

export class WaitingTasks {
  readonly warm = new TaskQueue();
  readonly fresh = new TaskQueue();

  get size(): number {
    return this.warm.size + this.fresh.size;
  }

  push(task: PoolTask): void {
    this.queueOf(task).push(task);
  }

  putBack(tasks: readonly PoolTask[]): void {
    const wanted = tasks.filter((task) => !task.dropped);
    this.warm.putBack(wanted.filter((task) => this.queueOf(task) === this.warm));
    this.fresh.putBack(wanted.filter((task) => this.queueOf(task) === this.fresh));
  }

  drop(task: PoolTask): void {
    this.queueOf(task).drop(task);
  }

  /** Takes the newest, or the newest of these tasks. */
  pop(among?: ReadonlySet<string>): PoolTask | undefined {
    return this.fresh.pop(among) ?? this.warm.pop(among);
  }

  /** Takes any. */
  shift(): PoolTask | undefined {
    return this.warm.shift() ?? this.fresh.shift();
  }

  /** Whether the oldest of all wants a process of its own. */
  get isFreshNext(): boolean {
    const fresh = this.fresh.peek();
    const warm = this.warm.peek();
    return fresh !== undefined && (warm === undefined || fresh.arrival < warm.arrival);
  }

  private queueOf(task: PoolTask): TaskQueue {
    return task.order.isolation === 'fresh' ? this.fresh : this.warm;
  }
}
