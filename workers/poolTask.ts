/** One order inside the pool, and the queue of those not sent to a process. */
import type { TaskOrder, TaskRef } from '../bus/messages.js';
import type { PrintedOutput } from './printedOutput.js';

export interface PoolTask {
  readonly order: TaskOrder;
  /** Of its function. */
  readonly body: Buffer;
  /** Rises with every order; a task taken back from a process returns to its place by it. */
  readonly arrival: number;
  /** Aborted, or timed out and reported: whatever still comes of it is not wanted. */
  dropped: boolean;
  /** It may have spoilt its process, so it shares the next one with no other task. */
  alone: boolean;
  /** Somebody reads what it prints while it runs. */
  followed: boolean;
  /**
   * Once it has printed something. When its process ends through no fault of its own and it runs again, in the same attempt, what
   * it prints is added: who follows has read the beginning.
   */
  output?: PrintedOutput;
}

export function taskKey(task: TaskRef): string {
  return `${task.taskId} ${task.fence}`;
}

/** First in, first out; what comes back from a process goes to the front again. Dropped tasks are passed over. */
export class TaskQueue {
  /** Undefined below `head`: what has been taken must not live on here, its arguments can be large. */
  private tasks: (PoolTask | undefined)[] = [];
  private head = 0;
  private alive = 0;

  /** Tasks that are waiting, dropped ones not counted. */
  get size(): number {
    return this.alive;
  }

  push(task: PoolTask): void {
    this.tasks.push(task);
    this.alive++;
  }

  /** Puts tasks that had been taken from the queue back in front, in their old order. */
  putBack(tasks: PoolTask[]): void {
    if (tasks.length === 0) return;
    const front = tasks.toSorted((a, b) => a.arrival - b.arrival);
    this.tasks = [...front, ...this.tasks.slice(this.head)];
    this.head = 0;
    this.alive += front.length;
  }

  peek(): PoolTask | undefined {
    while (this.tasks[this.head]?.dropped) this.tasks[this.head++] = undefined;
    return this.tasks[this.head];
  }

  shift(): PoolTask | undefined {
    const task = this.peek();
    if (task === undefined) return undefined;
    this.tasks[this.head++] = undefined;
    this.alive--;
    // Cut off what has been taken when it is at least half, so that each task is moved once on average.
    if (this.head > 1024 && this.head * 2 > this.tasks.length) {
      this.tasks = this.tasks.slice(this.head);
      this.head = 0;
    }
    return task;
  }

  /** Takes the newest, or the newest of these tasks. */
  pop(among?: ReadonlySet<string>): PoolTask | undefined {
    if (among) {
      const found = this.tasks.findLast(
        (task, index) => index >= this.head && task?.dropped === false && among.has(task.order.taskId),
      );
      if (found) this.drop(found);
      return found;
    }
    while (this.tasks.length > this.head) {
      const task = this.tasks.pop();
      if (task === undefined || task.dropped) continue;
      this.alive--;
      return task;
    }
    return undefined;
  }

  /** Drops a task that is in the queue. One that was dropped before, as by its time limit, is not in it. */
  drop(task: PoolTask): void {
    if (task.dropped) return;
    task.dropped = true;
    this.alive--;
  }
}
