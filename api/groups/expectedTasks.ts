import type { SettledTask } from '../../bus/controlMessages.js';
import type { Group } from './group.js';

/** A task whose end is expected. */
export interface Expected {
  readonly taskId: string;
  readonly group: Group;
  /** Undefined until the store has said which place in its group the task has. */
  index: number | undefined;
}

interface Entry extends Expected {
  /** It ended before its place was known. */
  early?: SettledTask;
  /** A task is in one group, but requests may put it into lists of their own. */
  next?: Entry | undefined;
}

type Placed = Expected & { index: number };

/** Which tasks are expected to end, and for which groups. */
export class ExpectedTasks {
  private readonly entries = new Map<string, Entry>();

  get size(): number {
    return this.entries.size;
  }

  add(taskId: string, group: Group, index?: number): void {
    const next = this.entries.get(taskId);
    this.entries.set(taskId, next ? { taskId, group, index, next } : { taskId, group, index });
  }

  /** The place of a task has become known; answers its end if that came before. */
  place(taskId: string, group: Group, index: number): SettledTask | undefined {
    const entry = this.all(taskId).find((one) => one.group === group && one.index === undefined);
    if (!entry) {
      this.add(taskId, group, index);
      return undefined;
    }
    entry.index = index;
    if (entry.early) this.remove(taskId, group);
    return entry.early;
  }

  get(taskId: string): Expected[] {
    return this.entries.has(taskId) ? this.all(taskId) : [];
  }

  /** For whom the task ended; it is no longer expected by them. */
  end(task: SettledTask): Placed[] {
    const first = this.entries.get(task.taskId);
    if (!first) return NOBODY;
    this.entries.delete(task.taskId);
    const placed: Placed[] = [];
    for (const entry of first.next ? chain(first) : [first]) {
      if (entry.index !== undefined) placed.push(entry as Placed);
      else {
        entry.early = task;
        this.entries.set(task.taskId, { ...entry, next: this.entries.get(task.taskId) });
      }
    }
    return placed;
  }

  remove(taskId: string, group: Group): void {
    const first = this.entries.get(taskId);
    if (!first) return;
    if (!first.next) {
      if (first.group === group) this.entries.delete(taskId);
      return;
    }
    const left = this.all(taskId).filter((entry) => entry.group !== group);
    this.entries.delete(taskId);
    for (const entry of left) this.entries.set(taskId, { ...entry, next: this.entries.get(taskId) });
  }

  private all(taskId: string): Entry[] {
    return chain(this.entries.get(taskId));
  }
}

const NOBODY: Placed[] = [];

function chain(entry: Entry | undefined): Entry[] {
  const entries: Entry[] = [];
  for (let one = entry; one; one = one.next) entries.push(one);
  return entries;
}
