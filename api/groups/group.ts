import type { SettledTask } from '../../bus/controlMessages.js';
import type { TerminalState } from '../../bus/taskStore.js';

/**
 * How a task of a group ended. `unknown`: nothing is stored under its id, because its submission failed after the group had
 * been written, or because its result has expired.
 */
export type Ending = TerminalState | 'unknown';
const ENDINGS: readonly Ending[] = ['completed', 'failed', 'cancelled', 'unknown'];

export interface GroupListener {
  /** Called once for each task that ends. `task` has the result where it came with an event. */
  onEnded(index: number, task: SettledTask | undefined): void;
  /** The group has grown, or was closed. */
  onChanged(): void;
}

/**
 * What this process knows of a group: ids by position, and which of the tasks have ended. It only ever learns more: positions
 * are stable, ends are final. `Groups` fills it.
 */
export class Group {
  readonly taskIds: string[] = [];
  readonly listeners = new Set<GroupListener>();
  readonly counts: Record<Ending, number> = { completed: 0, failed: 0, cancelled: 0, unknown: 0 };
  private isClosed = false;
  /** By position: 0 not ended, else 1 + index into ENDINGS. */
  private endings = new Uint8Array(64);
  private ended = 0;
  /** All positions before it have ended. */
  private firstUnended = 0;
  private readonly additions: { base: number; addedAtMs: number }[] = [];

  /** @param groupId undefined for tasks that one request put together   @param tenant undefined for `default` */
  constructor(
    readonly groupId: string | undefined,
    readonly tenant?: string,
  ) {}

  get total(): number {
    return this.taskIds.length;
  }

  get endedCount(): number {
    return this.ended;
  }

  get closed(): boolean {
    return this.isClosed;
  }

  /** @param addedAtMs by the monotonic clock of this process */
  add(taskIds: readonly string[], addedAtMs: number): void {
    this.additions.push({ base: this.total, addedAtMs });
    for (const taskId of taskIds) this.taskIds.push(taskId);
    if (this.endings.length < this.total) {
      const grown = new Uint8Array(2 * this.total);
      grown.set(this.endings);
      this.endings = grown;
    }
    for (const listener of this.listeners) listener.onChanged();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const listener of this.listeners) listener.onChanged();
  }

  hasEnded(index: number): boolean {
    return this.endings[index] !== 0;
  }

  end(index: number, ending: Ending, task?: SettledTask): void {
    if (this.hasEnded(index)) return;
    this.endings[index] = 1 + ENDINGS.indexOf(ending);
    this.ended++;
    this.counts[ending]++;
    for (const listener of this.listeners) listener.onEnded(index, task);
  }

  /** Up to `limit` positions from `from` on of tasks that have not ended, and where to go on. */
  unended(from: number, limit: number): { indexes: number[]; next: number } {
    while (this.firstUnended < this.total && this.hasEnded(this.firstUnended)) this.firstUnended++;
    const indexes: number[] = [];
    let index = Math.max(from, this.firstUnended);
    for (; index < this.total && indexes.length < limit; index++) if (!this.hasEnded(index)) indexes.push(index);
    return { indexes, next: index };
  }

  addedAtMs(index: number): number {
    return this.additions.findLast(({ base }) => base <= index)?.addedAtMs ?? -Infinity;
  }
}
