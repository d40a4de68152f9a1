import type { TaskOutcome } from './taskStore.js';
import type { Asker } from './tenants.js';

/**
 * Groups in the source of truth: lists of task ids, in the order in which they were added. A task's place in its group never
 * changes, so a position says the same in every process and after every restart.
 *
 * Each tenant has groups of its own: the same id is another group for another tenant. Absent: `default`.
 *
 * A group knows nothing of its tasks' states, and a task nothing of its group: following one costs the hot path nothing.
 */
export interface GroupStore {
  /**
   * Adds ids at the end; the group is made if there is none. Not idempotent unless `once` is given: a second addition with the
   * same text adds nothing and answers the place of the first.
   * @throws PlatformError STORE_UNAVAILABLE
   */
  append(groupId: string, addition: GroupAddition, tenant?: string): Promise<{ base: number }>;
  /**
   * What was added from position `from` on, in pieces: `more` says that there is more behind them. Undefined when there is no such group.
   * @throws PlatformError STORE_UNAVAILABLE
   */
  read(groupId: string, from: number, tenant?: string): Promise<GroupPiece | undefined>;
}

export interface GroupAddition {
  taskIds: readonly string[];
  /** Nothing will be added any more. A promise of the client's that ends streams, not a lock: later additions are taken. */
  final: boolean;
  /** How long the tasks may stay unfinished beyond what is usual, such as their delay: the group is kept so much longer. */
  keepMs: number;
  once?: string;
}

export interface GroupPiece {
  /** Position behind the last id of the group. */
  total: number;
  closed: boolean;
  additions: { base: number; ageMs: number; taskIds: string[] }[];
  more: boolean;
}

/** Reading many results at once without knowing how large they are. */
export interface OutcomeReader {
  /**
   * Outcomes in the order of the ids; when about `maxBytes` have been read the rest are `unread`. At least one is read.
   * @throws PlatformError STORE_UNAVAILABLE
   */
  readOutcomesUpTo(taskIds: string[], maxBytes: number, asker?: Asker): Promise<(TaskOutcome | 'unread' | undefined)[]>;
}
