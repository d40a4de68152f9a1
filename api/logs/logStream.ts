import { Readable } from 'node:stream';
import { PlatformError } from '../../bus/errors.js';
import { type OutputPiece, readRecord } from '../../bus/outputRecord.js';
import { isTerminal, type TaskState, type TaskStore } from '../../bus/taskStore.js';
import { Client } from '../client.js';
import type { SettledTasks } from '../settledTasks.js';
import { statusOf } from '../taskStatus.js';
import type { LiveOutput, OutputTail } from './liveOutput.js';
import type { LogFormat } from './logFormats.js';
import { slicesOf } from './logLines.js';

export interface LogStreamOptions {
  taskId: string;
  /** As it was just read. */
  state: TaskState;
  format: LogFormat;
  store: Pick<TaskStore, 'readOutput' | 'readTask'>;
  settled: SettledTasks;
  live: LiveOutput;
  heartbeatMs: number;
}

const HIGH_WATER_BYTES = 64 * 1024;
/** As long as a timer can be set; whoever follows longer follows again. */
const LONGEST_MS = 0x7fff_ffff;
const STORE_AWAY_MS = 500;
/** A cancelled task is given a moment to end, and what it printed to be stored. */
const CANCELLED_MS = 1_000;
const LOOK_AGAIN_MS = 50;
/** Slices that may wait to be sent, together 1 MiB: then nothing more is taken. */
const MAX_UNSENT = 256;

/**
 * What one client is sent of a task's log: first what was printed before, then what comes, then the rest from the store, where the
 * whole is. While the client does not read, hardly more is kept for it than how far it is. What came at once is sent in slices, one
 * for each turn of the event loop, so that a long log does not keep other clients waiting.
 *
 * live -> (the task has ended) stored -> ended; or ended early, which it says, when this API stops; or destroyed with the client's
 * connection.
 */
export class LogStream {
  readonly body: Readable;
  private readonly client = new Client();
  private readonly tail: OutputTail;
  private readonly heartbeat: NodeJS.Timeout;
  /** What has come and is not sent yet. */
  private readonly unsent: { pieces: OutputPiece[]; attempt: number }[] = [];
  /** The client reads slower than the task prints. */
  private isFull = false;
  private turn: NodeJS.Immediate | undefined;
  private onAllSent: (() => void) | undefined;

  /** @throws PlatformError TOO_MANY_WAITS */
  constructor(private readonly options: LogStreamOptions) {
    const { live, taskId, format } = options;
    this.body = new Readable({
      highWaterMark: HIGH_WATER_BYTES,
      read: () => {
        this.isFull = false;
        this.sendNext();
      },
      destroy: (error, done) => {
        this.dispose();
        done(error);
      },
    });
    this.tail = live.follow(taskId, (pieces, attempt) => {
      for (const slice of slicesOf(pieces)) this.unsent.push({ pieces: slice, attempt });
      if (this.unsent.length > MAX_UNSENT) this.tail.pause();
      this.sendNext();
    });
    this.heartbeat = setInterval(() => {
      if (this.unsent.length === 0 && this.body.readableLength === 0) this.write(format.heartbeat());
    }, options.heartbeatMs);
    void this.run();
  }

  private async run(): Promise<void> {
    const state = await this.ended();
    this.tail.stopAsking();
    const attempt = isTerminal(state) ? await this.writeStored(state) : undefined;
    if (attempt === undefined) {
      // The rest is left to who follows again.
      this.tail.close();
      this.unsent.length = 0;
    }
    while (this.unsent.length > 0 && !this.body.destroyed) await this.allSent();
    if (this.body.destroyed) return;
    const end = this.options.format.end({
      ...{ reason: attempt === undefined ? 'closing' : 'complete', status: statusOf(state) },
      ...{ attempt: Math.max(attempt ?? 0, this.tail.attempt), truncated: this.tail.truncated },
    });
    if (end === undefined) {
      this.body.destroy(new PlatformError('SHUTTING_DOWN', 'The API is stopping, and the task has not ended.'));
      return;
    }
    this.write(end);
    this.body.push(null);
  }

  /** The state that the task is in when it has ended, or when nobody may wait any longer. */
  private async ended(): Promise<TaskState> {
    const { taskId, settled } = this.options;
    if (isTerminal(this.options.state)) return this.options.state;
    while (!this.client.hasLeft) {
      try {
        const [outcome] = await settled.wait([taskId], { timeoutMs: LONGEST_MS, client: this.client });
        return outcome?.state ?? this.options.state;
      } catch {
        if (settled.isClosed) break;
        await this.sleep(STORE_AWAY_MS);
      }
    }
    return this.options.state;
  }

  /** Hands the client what it does not have yet. Returns the number of the attempt that was the last; undefined where this API ends sooner. */
  private async writeStored(state: TaskState): Promise<number | undefined> {
    const { taskId, store, settled } = this.options;
    const lookUntilMs = performance.now() + (state === 'cancelled' ? CANCELLED_MS : 0);
    while (!this.client.hasLeft) {
      try {
        const [record, task] = await Promise.all([store.readOutput(taskId), store.readTask(taskId)]);
        const { attempt } = readRecord((record ?? NOTHING).subarray(0, 16));
        const last = task?.attempt ?? attempt;
        if (record && record.length > 0 && attempt === last) {
          while (!this.tail.takeRecord(attempt, record) && !this.body.destroyed) await this.allSent();
          return last;
        }
        // One that was cancelled before it started has printed nothing.
        if (performance.now() >= lookUntilMs || last === 0) return last;
        await this.sleep(LOOK_AGAIN_MS);
      } catch {
        if (settled.isClosed) break;
        await this.sleep(STORE_AWAY_MS);
      }
    }
    return undefined;
  }

  /** Sends one slice, and the next with the next turn of the event loop or when the client has read. */
  private sendNext(): void {
    if (this.turn !== undefined || this.body.destroyed) return;
    const next = this.isFull ? undefined : this.unsent.shift();
    if (next) this.write(this.options.format.pieces(next.pieces, next.attempt));
    if (this.isFull) return;
    if (this.unsent.length > 0) {
      this.turn = setImmediate(() => {
        this.turn = undefined;
        this.sendNext();
      });
      return;
    }
    this.tail.resume();
    this.onAllSent?.();
  }

  private write(bytes: Buffer): void {
    if (bytes.length === 0 || this.body.destroyed || this.body.readableEnded) return;
    this.isFull = !this.body.push(bytes);
    if (this.isFull) this.tail.pause();
  }

  /** Resolves the next time that nothing waits to be sent and the client takes more; or when it has left. */
  private allSent(): Promise<void> {
    return new Promise((resolve) => (this.onAllSent = resolve));
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  private dispose(): void {
    this.client.leave();
    clearInterval(this.heartbeat);
    this.tail.close();
    clearImmediate(this.turn);
    this.onAllSent?.();
  }
}

const NOTHING = Buffer.alloc(0);
