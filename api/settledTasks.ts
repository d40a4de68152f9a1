import type { SettledTask } from '../bus/controlMessages.js';
import { PlatformError } from '../bus/errors.js';
import { OneWriter } from '../bus/oneWriter.js';
import { isTerminal, type TaskOutcome, type TaskStore } from '../bus/taskStore.js';
import type { Asker } from '../bus/tenants.js';
import type { Client } from './client.js';
import { Wait } from './wait.js';

/** Ids read from the store at once; keeps one read short, and a wait's memory near its bound. */
const READ_BATCH = 256;
const DEFAULT_POLL_MS = 1_000;
/** Pause between two reads of one round of polling, so that a round over many ids leaves the process to its requests. */
const POLL_PAUSE_MS = 25;
const DEFAULT_MAX_WAITED_IDS = 500_000;
const DEFAULT_MAX_ANSWER_BYTES = 256 * 1024 * 1024;

export interface SettledTasksOptions {
  store: TaskStore;
  /** How long after its end a task is noticed at the latest, when no event told of it. Default 1000. */
  pollMs?: number;
  /** Ids waited for by all clients together; more are refused. Default 500,000, about 150 MB. */
  maxWaitedIds?: number;
  /** Results of one wait together; more are refused. Default 256 MiB. */
  maxAnswerBytes?: number;
}

export interface WaitOptions {
  /** 0 answers what is known now. */
  timeoutMs: number;
  /** When it leaves the wait ends, and what it held is freed. */
  client?: Client;
  /** Makes the tasks when the wait is registered already: what is new need not be looked for in the store. */
  begin?: () => Promise<void>;
  /** For whom: a tenant waits for its own tasks alone. */
  asker?: Asker;
  /** Called for each task as soon as its end is known, in the order in which they end. */
  onOutcome?: (outcome: TaskOutcome) => void;
}

/**
 * Clients that wait for tasks to end.
 *
 * A wait registers first and reads the store then, so that no end falls between; from there on it is fed by `onSettled`, and by a
 * poll of the store that runs only while somebody waits. It ends when all its tasks have, when its time is over, its client
 * gone, one of its ids turns out unknown, or at `close`; whichever comes first frees all it held.
 */
export class SettledTasks {
  private readonly waits = new Map<string, Set<Wait>>();
  private waitedIds = 0;
  /** Ended by an event that did not carry the result. */
  private readonly reads: OneWriter<string>;
  private pollTimer: NodeJS.Timeout | undefined;
  /** Where the present round of polling is; Map iterators live through changes of the map. */
  private pollCursor: Iterator<string> | undefined;
  private readonly store: TaskStore;
  private readonly pollMs: number;
  private readonly maxWaitedIds: number;
  private readonly maxAnswerBytes: number;
  private closed = false;
  private readonly listeners: ((tasks: readonly SettledTask[]) => void)[] = [];

  constructor(options: SettledTasksOptions) {
    this.store = options.store;
    this.pollMs = options.pollMs ?? DEFAULT_POLL_MS;
    this.maxWaitedIds = options.maxWaitedIds ?? DEFAULT_MAX_WAITED_IDS;
    this.maxAnswerBytes = options.maxAnswerBytes ?? DEFAULT_MAX_ANSWER_BYTES;
    this.reads = new OneWriter<string>((taskIds) => this.deliverFromStore(taskIds), {
      maxItems: READ_BATCH,
      onError: () => undefined, // The store is away; the poll finds these ends when it is back.
    });
  }

  /** Ids that somebody waits for at the moment, each as often as it is waited for. */
  get waiting(): number {
    return this.waitedIds;
  }

  /** Nobody may wait any more: the API is stopping. */
  get isClosed(): boolean {
    return this.closed;
  }

  /**
   * The outcomes of the tasks, in the order of the ids; those that have not ended are in the state they had at the end of the
   * wait, unknown ones are undefined.
   * @throws PlatformError STORE_UNAVAILABLE when nothing could be read, TOO_MANY_WAITS, ANSWER_TOO_LARGE
   */
  async wait(taskIds: readonly string[], options: WaitOptions): Promise<(TaskOutcome | undefined)[]> {
    const wait = new Wait(taskIds, this.maxAnswerBytes, options.onOutcome);
    const { asker } = options;
    const isNow = options.timeoutMs <= 0 || this.closed;
    // An event tells of any task: before a tenant hears of one, the store must have said that it is there for it.
    if (isNow || (asker !== undefined && !options.begin)) {
      await this.readInto(wait, asker);
      if (isNow || wait.isOver) return wait.answer(taskIds);
    }
    this.register(wait);
    const { client } = options;
    const timer = setTimeout(wait.end, options.timeoutMs);
    if (client) client.onLeft = wait.end;
    if (client?.hasLeft) wait.end();
    try {
      await (options.begin ? options.begin() : this.readInto(wait));
      await wait.ended;
      if (wait.unendedIds.size > 0 && !client?.hasLeft) {
        await this.readInto(wait).catch(() => undefined); // What the first read found is an answer too.
      }
      return wait.answer(taskIds);
    } finally {
      clearTimeout(timer);
      if (client) client.onLeft = undefined;
      this.unregister(wait);
    }
  }

  /** Others who wait for tasks, in their own way: they hear all that `onSettled` does. */
  alsoTell(listener: (tasks: readonly SettledTask[]) => void): void {
    this.listeners.push(listener);
  }

  /** Tasks have ended. Those that nobody waits for cost one look into a map. */
  onSettled(tasks: readonly SettledTask[]): void {
    for (const listener of this.listeners) listener(tasks);
    this.onEnded(tasks);
  }

  /** Tasks have ended that somebody here waits for: told sooner than everybody is, who will hear of them by `onSettled` as well. */
  onEnded(tasks: readonly SettledTask[]): void {
    if (this.waits.size === 0) return;
    for (const { taskId, state, payload, failure } of tasks) {
      if (!this.waits.has(taskId)) continue;
      if (payload === undefined) this.reads.push(taskId);
      else this.deliver({ taskId, state, payload, ...(failure && { failure }) });
    }
  }

  /** Ends all waits, each answering what it has; later ones answer at once. Idempotent. */
  close(): void {
    this.closed = true;
    clearTimeout(this.pollTimer);
    this.reads.clear();
    for (const waits of this.waits.values()) for (const wait of waits) wait.end();
  }

  private register(wait: Wait): void {
    if (this.waitedIds + wait.taskIds.length > this.maxWaitedIds) {
      throw new PlatformError('TOO_MANY_WAITS', `Clients of this API already wait for ${this.waitedIds} tasks.`);
    }
    this.waitedIds += wait.taskIds.length;
    for (const taskId of wait.taskIds) {
      const waits = this.waits.get(taskId);
      if (waits) waits.add(wait);
      else this.waits.set(taskId, new Set([wait]));
    }
    this.pollTimer ??= setTimeout(() => void this.poll(), this.pollMs);
  }

  private unregister(wait: Wait): void {
    this.waitedIds -= wait.taskIds.length;
    for (const taskId of wait.taskIds) {
      const waits = this.waits.get(taskId);
      waits?.delete(wait);
      if (waits?.size === 0) this.waits.delete(taskId);
    }
    if (this.waits.size === 0) {
      clearTimeout(this.pollTimer);
      this.pollTimer = undefined;
      this.pollCursor = undefined;
    }
  }

  /** Reads what the wait does not know to have ended. */
  private async readInto(wait: Wait, asker?: Asker): Promise<void> {
    const taskIds = [...wait.unendedIds];
    for (let start = 0; start < taskIds.length && !wait.hasFailed; start += READ_BATCH) {
      const batch = taskIds.slice(start, start + READ_BATCH);
      const outcomes = await this.store.readOutcomes(batch, asker);
      batch.forEach((taskId, index) => wait.know(taskId, outcomes[index]));
    }
  }

  private deliver(outcome: TaskOutcome): void {
    for (const wait of this.waits.get(outcome.taskId) ?? []) wait.know(outcome.taskId, outcome);
  }

  private async deliverFromStore(taskIds: string[]): Promise<void> {
    const waitedFor = taskIds.filter((taskId) => this.waits.has(taskId));
    if (waitedFor.length === 0) return;
    for (const outcome of await this.store.readOutcomes(waitedFor)) {
      if (outcome && isTerminal(outcome.state)) this.deliver(outcome);
    }
  }

  /** One step of a round over all ids waited for; the next round begins `pollMs` after the end of this one. */
  private async poll(): Promise<void> {
    const timer = this.pollTimer;
    const cursor = (this.pollCursor ??= this.waits.keys());
    const taskIds: string[] = [];
    for (let next = cursor.next(); !next.done; next = cursor.next()) {
      if (!this.hasUnended(next.value)) continue;
      taskIds.push(next.value);
      if (taskIds.length === READ_BATCH) break;
    }
    const roundEnds = taskIds.length < READ_BATCH;
    if (roundEnds) this.pollCursor = undefined;
    await this.deliverFromStore(taskIds).catch(() => undefined); // The store is away; the next round tries again.
    // Meanwhile the last wait may have gone, and a new one may have started a poll of its own.
    if (this.closed || this.pollTimer !== timer) return;
    this.pollTimer = setTimeout(() => void this.poll(), roundEnds ? this.pollMs : POLL_PAUSE_MS);
  }

  /** False for tasks that have ended, whose waits last because of others. */
  private hasUnended(taskId: string): boolean {
    for (const wait of this.waits.get(taskId) ?? []) if (wait.unendedIds.has(taskId)) return true;
    return false;
  }
}
