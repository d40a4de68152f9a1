import type { ControlMessage } from '../../bus/controlMessages.js';
import { PlatformError } from '../../bus/errors.js';
import { FOLLOW_PART_BYTES, FOLLOW_WINDOW_BYTES, type OutputPiece, OutputReader } from '../../bus/outputRecord.js';

export type FollowRequest = Omit<Extract<ControlMessage, { type: 'task.follow' }>, 'type'>;
export type OutputPart = Omit<Extract<ControlMessage, { type: 'task.output' }>, 'type'>;

/** How long the platform sends without being asked again, and how soon it is. */
const FOLLOW_MS = 5_000;
const ASK_AGAIN_MS = 2_000;
/** After a part that was lost, so that a flood of parts is not answered by a flood of questions. */
const MISSED_PAUSE_MS = 50;
const MAX_TAILS = 2_000;

/**
 * What running tasks print, for the clients of this API that read it while it comes. Asks for it by event, and again every two
 * seconds; what arrives is handed to each reader in order, without a gap or a repetition, from the bytes' places in the record.
 */
export class LiveOutput {
  private readonly tails = new Map<string, Set<OutputTail>>();
  private count = 0;

  /** @param ask tells the dispatchers; must not throw */
  constructor(private readonly ask: (request: FollowRequest) => void) {}

  /** A part has arrived. Of tasks that nobody reads it costs one look into a map. */
  onOutput(part: OutputPart): void {
    for (const tail of this.tails.get(part.taskId) ?? []) tail.take(part);
  }

  /**
   * Follows a task until the tail is closed.
   * @throws PlatformError TOO_MANY_WAITS
   */
  follow(taskId: string, onPieces: OutputTail['onPieces']): OutputTail {
    if (this.count >= MAX_TAILS) {
      throw new PlatformError('TOO_MANY_WAITS', `Clients of this API already follow ${this.count} tasks.`);
    }
    const tail: OutputTail = new OutputTail(taskId, this.ask, onPieces, () => {
      const tails = this.tails.get(taskId);
      if (!tails?.delete(tail)) return;
      this.count--;
      if (tails.size === 0) this.tails.delete(taskId);
    });
    const tails = this.tails.get(taskId) ?? new Set();
    this.tails.set(taskId, tails.add(tail));
    this.count++;
    tail.resume();
    return tail;
  }
}

/**
 * One reader of one task's output: how far it is in the record of which attempt.
 *
 * reading -> paused (`pause`: nothing is taken or asked for, what comes is passed over) -> reading (`resume`: asks from where it
 * is) -> closed. A later attempt begins anew; parts of earlier ones are ignored.
 */
export class OutputTail {
  private reader = new OutputReader();
  private state: 'reading' | 'paused' | 'closed' = 'paused';
  private grantedTo = 0;
  private askedAtMs = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private hasEnded = false;
  /** Whether a part of the present attempt has come, and all of the record with it, as far as known. */
  isUpToDate = false;
  attempt = 0;

  constructor(
    private readonly taskId: string,
    private readonly ask: (request: FollowRequest) => void,
    private readonly onPieces: (pieces: OutputPiece[], attempt: number) => void,
    private readonly onClosed: () => void,
  ) {}

  /** The task printed more than is kept. */
  get truncated(): boolean {
    return this.reader.truncated;
  }

  take(part: OutputPart): void {
    if (this.state !== 'reading' || part.attempt < this.attempt) return;
    if (part.attempt > this.attempt) this.begin(part.attempt);
    const { position } = this.reader;
    if (part.offset > position) {
      this.isUpToDate = false;
      if (performance.now() - this.askedAtMs > MISSED_PAUSE_MS) this.askNow();
      return;
    }
    this.read(part.bytes.subarray(position - part.offset));
    if (!this.isReading) return;
    this.isUpToDate = this.reader.position >= part.length;
    if (this.reader.position > this.grantedTo - FOLLOW_WINDOW_BYTES / 2) this.askNow();
  }

  get isReading(): boolean {
    return this.state === 'reading';
  }

  /** The whole record of a task that has ended: hands on what is new of it, as far as the reader takes it. True when that was all. */
  takeRecord(attempt: number, record: Buffer): boolean {
    if (attempt > this.attempt) this.begin(attempt);
    if (attempt < this.attempt) return true;
    while (this.isReading && this.reader.position < record.length) {
      const { position } = this.reader;
      this.read(record.subarray(position, position + FOLLOW_PART_BYTES));
    }
    return this.reader.position >= record.length;
  }

  pause(): void {
    if (this.state !== 'reading') return;
    this.state = 'paused';
    clearInterval(this.timer);
  }

  resume(): void {
    if (this.state !== 'paused') return;
    this.state = 'reading';
    if (this.hasEnded) return;
    this.timer = setInterval(() => {
      this.askNow();
    }, ASK_AGAIN_MS);
    this.askNow();
  }

  close(): void {
    this.state = 'closed';
    clearInterval(this.timer);
    this.onClosed();
  }

  /** The task has ended: nobody could say more of it. */
  stopAsking(): void {
    this.hasEnded = true;
    clearInterval(this.timer);
  }

  private begin(attempt: number): void {
    this.attempt = attempt;
    this.reader = new OutputReader();
    this.grantedTo = FOLLOW_WINDOW_BYTES;
  }

  private read(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const pieces = this.reader.push(bytes);
    if (pieces.length > 0) this.onPieces(pieces, this.attempt);
  }

  private askNow(): void {
    const from = this.reader.position;
    this.askedAtMs = performance.now();
    this.grantedTo = from + FOLLOW_WINDOW_BYTES;
    this.ask({ taskId: this.taskId, attempt: this.attempt, from, forMs: FOLLOW_MS });
  }
}
