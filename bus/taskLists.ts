import type { FailureType } from './messages.js';
import type { Priority } from './redis/keys.js';
import type { Asker } from './tenants.js';
import type { FunctionRecord, NewTask, TaskRecord, TaskState } from './taskStore.js';

/**
 * Lists over what the store keeps, newest first, in pages.
 *
 * A page costs a bounded amount of work: it may have fewer items than asked for, even none, and still say with its cursor that the list
 * goes on. A cursor names a place in the list, not a count: new items come before the first page and shift nothing.
 *
 * To an `asker` that is a tenant what others have does not exist; without one all is told.
 *
 * Every method rejects with `PlatformError` STORE_UNAVAILABLE when the store cannot be reached.
 */
export interface TaskLists {
  /**
   * By the time they were accepted; failed and cancelled ones alone by the time they ended.
   * @throws PlatformError VALIDATION_FAILED when the cursor is not of such a list
   */
  listTasks(query: TaskQuery, asker?: Asker): Promise<Page<TaskSummary>>;
  /** By the time they were registered. @throws PlatformError VALIDATION_FAILED when the cursor is not of this list */
  listFunctions(limit: number, cursor?: string, asker?: Asker): Promise<Page<FunctionRecord>>;
  /** How many tasks wait and run now, and have ended: of all tenants. */
  countTasks(): Promise<TaskCounts>;
  /** How many entries of its tenant are before a queued task in its queue; undefined when it is not among the next 100,000. */
  countAhead(task: Pick<TaskRecord, 'taskId' | 'priority' | 'requirement' | 'tenant'>): Promise<number | undefined>;

  /** What a task was submitted with, where that is still kept: not of completed ones. Undefined for unknown ids. */
  readSubmissions(taskIds: string[], asker?: Asker): Promise<(Submission | undefined)[]>;
  /** Of those that are traced: the span that theirs belong under, as a W3C `traceparent`, and when they came. */
  readTraces(taskIds: readonly string[]): Promise<({ trace: string; submittedAtMs: number } | undefined)[]>;
  /**
   * Notes on ended tasks under which ids they are run again. With `once` a note that is there stays; answered is the id that is noted
   * now, undefined for tasks that are gone.
   */
  noteRunAgain(
    notes: { taskId: string; newTaskId: string }[],
    once: boolean,
    asker?: Asker,
  ): Promise<(string | undefined)[]>;
}

export interface TaskQuery {
  /** Of these alone, in their order, those that are there and match, whatever the limit; there is no cursor then. */
  taskIds?: string[];
  /** Any when absent. */
  states?: readonly TaskState[];
  functionId?: string;
  failureType?: FailureType;
  limit: number;
  cursor?: string;
}

export interface Page<Item> {
  items: Item[];
  /** Where the next page begins; undefined at the end of the list. */
  cursor?: string;
}

/** A task as lists show it: without its result and its history. The failure has no traceback, and its message may be cut. */
export type TaskSummary = Omit<TaskRecord, 'payload' | 'history'>;

export interface TaskCounts {
  queued: Record<Priority, number>;
  running: number;
  /** Not due yet. */
  delayed: number;
  /** Waiting for the next try. */
  retrying: number;
  /** Waiting for other tasks. */
  blocked: number;
  /** All that have ended, those included that have expired since. */
  completed: number;
  cancelled: number;
  failed: number;
  /** `failed` by type, those alone that there were. */
  failures: Partial<Record<FailureType, number>>;
  /** When that queued task was submitted which was submitted first; absent when none is queued. */
  oldestQueuedAtMs?: number;
}

export interface Submission {
  state: TaskState;
  /** Undefined when its arguments are not kept any more. */
  task?: Omit<NewTask, 'taskId'>;
}
