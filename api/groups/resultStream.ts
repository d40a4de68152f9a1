import { Readable } from 'node:stream';
import type { SettledTask } from '../../bus/controlMessages.js';
import type { OutcomeReader } from '../../bus/groupStore.js';
import { isTerminal, type TaskOutcome } from '../../bus/taskStore.js';
import type { Asker } from '../../bus/tenants.js';
import { resultPickle } from '../resultJson.js';
import { statusOf } from '../taskStatus.js';
import type { Group, GroupListener } from './group.js';
import { type IndexSet } from './indexSet.js';
import type { Delivery, EndReason, Progress, StreamFormat } from './streamFormats.js';

/** Payloads kept for a client that does not read; what comes beyond is read again from the store when it does. */
const MAX_PENDING_BYTES = 1024 * 1024;
/** What a result costs in memory beyond its payload. */
const RESULT_OVERHEAD_BYTES = 250;
/** Bounds of one write. */
const MAX_WRITE_RESULTS = 1_000;
const MAX_READ_RESULTS = 256;
const MAX_READ_BYTES = 1024 * 1024;
const HIGH_WATER_BYTES = 64 * 1024;
const RETRY_MS = 500;
/** Room that headers have for a cursor that comes back as `last-event-id`; beyond, the first ranges of it. */
const MAX_CURSOR_LENGTH = 6_000;
const DEFAULT_HEARTBEAT_MS = 10_000;
const NO_BYTES = Buffer.alloc(0);

export interface ResultStreamOptions {
  group: Group;
  format: StreamFormat;
  /** Positions that the client has. */
  have: IndexSet;
  /** Stay for tasks that are added later, until the group is closed. */
  follow: boolean;
  /** Longest duration; undefined for none. 0: what has ended before. */
  waitMs: number | undefined;
  reader: OutcomeReader;
  /** For whom results are read. */
  asker: Asker;
  /** Silence after which a sign of life is sent. Default 10,000. */
  heartbeatMs: number | undefined;
  /** Called once, however the stream ends. */
  onClosed: (stream: ResultStream) => void;
}

/**
 * One client that reads results of a group as its tasks end. Pulled by the connection: while the client does not read, nothing is
 * made for it, and what it is owed is kept as payloads up to a bound and beyond as positions alone.
 *
 * open -> ended: `complete` (all delivered, and no more to come), `wait` (its time is over), `closing` (`stop`, by the API), or
 * destroyed with its connection. Ends of tasks reach it once each, through `Group`; what the client has is left out.
 */
export class ResultStream implements GroupListener {
  readonly body: Readable;
  /** Delivered, by this stream or an earlier one: the cursor. */
  private readonly delivered: IndexSet;
  private pending: Delivery[] = [];
  private pendingBytes = 0;
  /** Ended, their results not in memory; in order, from `backlogStart` on. */
  private backlog: number[] = [];
  private backlogStart = 0;
  /** How many of them are asked for at once: about twice as many as the bytes of a read have been enough for. */
  private readResults = MAX_READ_RESULTS;
  private wanted = false;
  private producing = false;
  private woken = false;
  private stopReason: EndReason | undefined;
  private ended = false;
  /** At first: a client that has nothing to read yet learns that the stream is open. */
  private heartbeatDue = true;
  private readonly heartbeat: NodeJS.Timeout;
  private deadline: NodeJS.Timeout | undefined;
  private retry: NodeJS.Timeout | undefined;

  constructor(private readonly options: ResultStreamOptions) {
    this.delivered = options.have;
    this.body = new Readable({
      highWaterMark: HIGH_WATER_BYTES,
      read: () => {
        this.wanted = true;
        this.wake();
      },
      destroy: (error, done) => {
        this.dispose();
        done(error);
      },
    });
    this.heartbeat = setInterval(() => {
      this.heartbeatDue = true;
      this.wake();
    }, options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS);
  }

  get contentType(): string {
    return this.options.format.contentType;
  }

  /** To be called when the group listens for ends, and has those that were before. */
  start(): void {
    const { group, waitMs } = this.options;
    for (let index = 0; index < group.total; index++) {
      if (group.hasEnded(index) && !this.delivered.has(index)) this.backlog.push(index);
    }
    group.listeners.add(this);
    if (waitMs !== undefined) this.deadline = setTimeout(() => this.stop('wait'), waitMs);
  }

  /** Nothing is left to deliver, and nothing more will come. */
  get isComplete(): boolean {
    const { group, follow } = this.options;
    const idle = this.pending.length === 0 && this.backlog.length === 0;
    return idle && group.endedCount === group.total && (group.closed || !follow);
  }

  onEnded(index: number, task: SettledTask | undefined): void {
    if (this.stopReason !== undefined || this.delivered.has(index)) return;
    const made = task && carriesResult(task) ? delivery(index, task) : undefined;
    const bytes = (made?.pickle.length ?? 0) + RESULT_OVERHEAD_BYTES;
    if (made && this.pendingBytes + bytes <= MAX_PENDING_BYTES) {
      // Payloads are slices of the events they came in; what has to wait for its client must not keep a whole event for it.
      if (!this.wanted) made.pickle = Buffer.from(made.pickle);
      this.pendingBytes += bytes;
      this.pending.push(made);
    } else {
      this.backlog.push(index);
    }
    this.wake();
  }

  onChanged(): void {
    this.wake();
  }

  /** Ends the stream after what is owed now; when the API stops at once, for the client will come back. */
  stop(reason: EndReason): void {
    this.stopReason = reason;
    if (reason === 'closing') this.dropOwed();
    this.wake();
  }

  private dropOwed(): void {
    this.pending = [];
    this.pendingBytes = 0;
    this.backlog = [];
    this.backlogStart = 0;
  }

  /** All that comes in one turn of the event loop leaves in one write. */
  private wake(): void {
    this.woken = true;
    if (this.wanted && !this.producing && !this.ended) {
      this.producing = true;
      queueMicrotask(() => void this.produce());
    }
  }

  private async produce(): Promise<void> {
    while (this.woken && this.wanted && !this.ended) {
      this.woken = false;
      const chunk = this.pendingChunk() ?? (await this.backlogChunk()) ?? this.endChunk() ?? this.heartbeatChunk();
      // Destroyed while the store was read. (The analysis does not see what happens during the await.)
      if (chunk === undefined || this.body.destroyed) continue;
      this.woken = true;
      this.heartbeatDue = false;
      for (const piece of chunk) this.wanted = this.body.push(piece);
      if (this.isOver()) this.body.push(null);
    }
    this.producing = false;
  }

  /** The chunk just made may have been the last. */
  private isOver(): boolean {
    return this.ended;
  }

  private pendingChunk(): Buffer[] | undefined {
    if (this.pending.length === 0) return undefined;
    const deliveries =
      this.pending.length <= MAX_WRITE_RESULTS ? this.pending : this.pending.slice(0, MAX_WRITE_RESULTS);
    this.pending = deliveries === this.pending ? [] : this.pending.slice(MAX_WRITE_RESULTS);
    for (const { pickle } of deliveries) this.pendingBytes -= pickle.length + RESULT_OVERHEAD_BYTES;
    return this.write(deliveries);
  }

  private async backlogChunk(): Promise<Buffer[] | undefined> {
    if (this.backlog.length === 0 || this.retry !== undefined) return undefined;
    const { group, reader } = this.options;
    const indexes = this.backlog.slice(this.backlogStart, this.backlogStart + this.readResults);
    const taskIds = indexes.map((index) => group.taskIds[index] ?? '');
    const deliveries: Delivery[] = [];
    const again: number[] = [];
    try {
      const outcomes = await reader.readOutcomesUpTo(taskIds, MAX_READ_BYTES, this.options.asker);
      const read = outcomes.filter((outcome) => outcome !== 'unread').length;
      this.readResults = Math.min(2 * read + 1, MAX_READ_RESULTS);
      indexes.forEach((index, position) => {
        const outcome = outcomes[position];
        if (outcome === 'unread') again.push(index);
        else if (outcome === undefined) deliveries.push(unknown(index, taskIds[position] ?? ''));
        // Redis came back older than it was: the task is yet to end again.
        else if (!isTerminal(outcome.state)) again.push(index);
        else deliveries.push(delivery(index, outcome));
      });
    } catch {
      again.push(...indexes); // The store is away.
    }
    if (this.backlog.length === 0) return undefined; // Stopped meanwhile.
    this.backlogStart += indexes.length;
    this.backlog.push(...again);
    if (this.backlogStart === this.backlog.length || this.backlogStart > 50_000) {
      this.backlog = this.backlog.slice(this.backlogStart);
      this.backlogStart = 0;
    }
    if (deliveries.length > 0) return this.write(deliveries);
    this.retry = setTimeout(() => {
      this.retry = undefined;
      this.wake();
    }, RETRY_MS);
    return undefined;
  }

  private write(deliveries: readonly Delivery[]): Buffer[] {
    for (const { index } of deliveries) this.delivered.add(index);
    return this.options.format.results(deliveries, () => this.delivered.toText(MAX_CURSOR_LENGTH));
  }

  private endChunk(): Buffer[] | undefined {
    if (this.pending.length > 0 || (this.backlog.length > 0 && this.retry === undefined)) return undefined;
    const reason = this.isComplete && this.stopReason !== 'closing' ? 'complete' : this.stopReason;
    if (reason === undefined) return undefined;
    this.ended = true;
    return [this.options.format.end(this.progress(), reason)];
  }

  private heartbeatChunk(): Buffer[] | undefined {
    return this.heartbeatDue ? [this.options.format.heartbeat(this.progress())] : undefined;
  }

  private progress(): Progress {
    const { total, closed } = this.options.group;
    const cursor = this.delivered.toText(MAX_CURSOR_LENGTH);
    return { cursor, delivered: this.delivered.size, total, closed };
  }

  private dispose(): void {
    this.ended = true;
    this.dropOwed();
    clearInterval(this.heartbeat);
    clearTimeout(this.deadline);
    clearTimeout(this.retry);
    this.options.group.listeners.delete(this);
    this.options.onClosed(this);
  }
}

const carriesResult = (task: SettledTask): task is SettledTask & TaskOutcome => task.payload !== undefined;

function delivery(index: number, outcome: TaskOutcome): Delivery {
  const { taskId, state, failure } = outcome;
  return { index, taskId, status: statusOf(state), pickle: resultPickle(outcome), failure };
}

const unknown = (index: number, taskId: string): Delivery => ({
  index,
  taskId,
  status: 'UNKNOWN',
  pickle: NO_BYTES,
  failure: undefined,
});
