/**
 * One warm Python process: spawn, frames in and out, TERM -> KILL of its group.
 *
 *   starting --READY--> ready --end()--> ending --exit--> ended
 *       |                 |                                 ^
 *       +-----------------+------- exit by itself ----------+
 *
 * `ended` is reported once, after the exit status is known and everything the process had written is read: results that
 * left it before it died are results. The group is killed then, so that nothing a function started outlives it.
 */
import { randomInt } from 'node:crypto';
import type { RuntimeInfo } from '../actors/processPool.js';
import type { TaskResult } from '../bus/messages.js';
import { orderBytes } from '../bus/orderBytes.js';
import { CorruptWireError, FrameDecoder, orderFrame, writePieces, type Ended, type RuntimeFrame } from './frames.js';
import { LastWords } from './lastWords.js';
import { LoadedFunctions } from './loadedFunctions.js';
import type { PoolTask } from './poolTask.js';
import { PrintedOutput } from './printedOutput.js';
import type { EndReason, Finished, Launch, ProcessEnd, SentTask } from './processParts.js';
import { type ChildEnd, RuntimeChild } from './runtimeChild.js';
import { SharedPage } from './sharedPage.js';
import type { Slot } from './slotChoice.js';

/** How long a process may take to end after TERM. */
const TERM_GRACE_MS = 500;
/** A process that closed its pipe but lives cannot answer any more. What stands around one that was killed takes a while to end. */
const CLOSED_WIRE_GRACE_MS = 500;
/** Sequence numbers are 32 bits wide; a process that has come this far is replaced. */
const LAST_SEQUENCE = 0xf000_0000;
const NOTHING = Buffer.alloc(0);

export interface ProcessEvents {
  ready(process: PythonProcess, info: RuntimeInfo): void;
  /** One read's worth of answers, in order. */
  progressed(process: PythonProcess, finished: Finished[], skipped: PoolTask[]): void;
  /** A task that somebody follows has printed something. */
  printed(sent: SentTask): void;
  ended(process: PythonProcess, end: ProcessEnd): void;
}

export class PythonProcess implements Slot {
  state: 'starting' | 'ready' | 'ending' | 'ended' = 'starting';
  /** Sent and not answered, oldest first. */
  readonly outstanding = new Map<number, SentTask>();
  outstandingBytes = 0;
  backlogUs = 0;
  /** Its waiting tasks were taken back; until it has passed them no task is sent behind another, for it could not be fetched back. */
  takenBack = false;
  /** It takes no further task, and is ended when it has none left. */
  reserved = false;
  /** Monotonic; when it answered last, or began after being idle. */
  lastProgressMs = performance.now();
  wasReady = false;
  private reason: EndReason = 'itself';
  private readonly token = randomInt(1, 0xffff_ffff);
  private readonly page = new SharedPage();
  private readonly decoder = new FrameDecoder(this.token);
  private readonly child: RuntimeChild;
  private unsent: Buffer[] = [];
  private sequence = 0;
  private readonly functions = new LoadedFunctions(this.token);
  private readonly lastWords = new LastWords();
  /** When it is not ready by then, or not gone, it is killed. */
  private killTimer: NodeJS.Timeout | undefined;

  /** @throws where it cannot be spawned for want of descriptors */
  constructor(
    private readonly launch: Launch,
    private readonly events: ProcessEvents,
  ) {
    try {
      this.child = new RuntimeChild(launch, this.token, this.page.fd);
    } catch (error) {
      this.page.close();
      throw error;
    }
    this.killTimer = setTimeout(() => this.end('hung', 0), launch.hungAfterMs);
    this.listen();
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Of the process so far, as far as it was looked at, KiB. */
  get peakMemoryKib(): number {
    return this.child.peakMemoryKib;
  }

  get outstandingCount(): number {
    return this.outstanding.size;
  }

  get stalled(): boolean {
    return this.takenBack || this.child.input.writableNeedDrain;
  }

  /** To be replaced when it has no task left. */
  get isWorn(): boolean {
    return this.reserved || this.sequence >= LAST_SEQUENCE;
  }

  /** Whether no task has been sent to it. */
  get isUnused(): boolean {
    return this.sequence === 0;
  }

  oldest(): SentTask | undefined {
    for (const sent of this.outstanding.values()) return sent;
    return undefined;
  }

  /** Whether it has a task whose result is awaited. */
  isWanted(): boolean {
    for (const { task } of this.outstanding.values()) if (!task.dropped) return true;
    return false;
  }

  /** The task whose call it began last, if that is not answered. */
  begun(): SentTask | undefined {
    return this.outstanding.get(this.page.current());
  }

  /** Those whose call has begun and that are not answered: the begun one, and results that are on their way. */
  allBegun(): SentTask[] {
    const current = this.page.current();
    return [...this.outstanding.values()].filter(({ sequence }) => sequence <= current);
  }

  /** Gathers an order for the next `flush`. `expectedUs` is infinite for a function not known to be short. */
  send(task: PoolTask, expectedUs: number): void {
    if (this.outstanding.size === 0) this.lastProgressMs = performance.now();
    const { functionId } = task.order;
    const sequence = ++this.sequence;
    const index = this.functions.index(functionId, task.body, this.unsent);
    this.unsent.push(...orderFrame(this.token, sequence, index, task.order));
    this.outstanding.set(sequence, { task, sequence, expectedUs, sentAtMs: Date.now() });
    this.outstandingBytes += orderBytes(task.order);
    this.backlogUs += expectedUs;
  }

  /** Writes what was gathered, as one write. */
  flush(): void {
    if (this.unsent.length === 0) return;
    if (this.child.input.writable) writePieces(this.child.input, this.unsent);
    this.unsent = [];
  }

  /**
   * Takes back the tasks from a sequence on; what it returns will not run here. A task it may just be beginning stays: its
   * result or SKIPPED follows.
   */
  revoke(from: number): PoolTask[] {
    const taken: PoolTask[] = [];
    const begun = this.page.revoke(from, this.sequence + 1);
    if (begun === undefined) return taken;
    this.takenBack = true;
    for (const sent of [...this.outstanding.values()]) {
      if (sent.sequence < from || sent.sequence <= begun) continue;
      this.remove(sent);
      taken.push(sent.task);
    }
    return taken;
  }

  /** Asks it to send what it has finished or printed, for it may be busy with a long task. */
  poke(): void {
    if (this.state !== 'ready') return;
    this.child.measureMemory();
    this.child.poke('SIGURG');
  }

  /** TERM to the group, after `graceMs` KILL. */
  end(reason: EndReason, graceMs = TERM_GRACE_MS): void {
    if (this.state === 'ended') return;
    if (this.state !== 'ending') {
      this.state = 'ending';
      this.reason = reason;
    }
    clearTimeout(this.killTimer);
    if (this.child.hasExited) return;
    this.child.measureMemory();
    this.child.signal(graceMs <= 0 ? 'SIGKILL' : 'SIGTERM');
    if (graceMs > 0) this.killTimer = setTimeout(() => this.end(reason, 0), graceMs);
  }

  private remove(sent: SentTask): void {
    this.outstanding.delete(sent.sequence);
    this.outstandingBytes -= orderBytes(sent.task.order);
    // Not subtracted when nothing is left: infinite minus infinite is no number.
    this.backlogUs = this.outstanding.size === 0 ? 0 : this.backlogUs - sent.expectedUs;
  }

  private listen(): void {
    const { output } = this.child;
    output.on('data', (chunk: Buffer) => this.received(chunk));
    output.on('end', () => {
      setTimeout(() => {
        if (!this.child.hasExited) this.end('corrupt', 0);
      }, CLOSED_WIRE_GRACE_MS).unref();
    });
    this.child.onEnd((end) => {
      this.finish(end);
    });
  }

  private finish(end: ChildEnd): void {
    this.state = 'ended';
    clearTimeout(this.killTimer);
    const crashReport = this.hearLastWords();
    this.page.close();
    const report = crashReport === undefined ? {} : { crashReport };
    this.events.ended(this, { ...end, reason: this.reason, ...report });
  }

  /** What it wrote last, past the runtime, belongs to the task that it ran. */
  private hearLastWords(): string | undefined {
    const sent = this.begun();
    if (sent !== undefined) {
      const limit = this.launch.maxOutputBytes - (sent.task.output?.length ?? 0);
      const { entries, crashReport } = this.lastWords.read(this.page.drained(), Math.max(0, limit), Date.now());
      if (entries.length > 0) printedBy(sent.task).append(entries);
      this.lastWords.close();
      return crashReport;
    }
    this.lastWords.close();
    return undefined;
  }

  private received(chunk: Buffer): void {
    const finished: Finished[] = [];
    const skipped: PoolTask[] = [];
    try {
      for (const frame of this.decoder.push(chunk)) this.handle(frame, finished, skipped);
    } catch (error) {
      if (!(error instanceof CorruptWireError)) throw error;
      this.end('corrupt', 0);
    }
    if (finished.length > 0 || skipped.length > 0) {
      this.lastProgressMs = performance.now();
      if (this.takenBack && this.page.hasPassedRevoked()) this.takenBack = false;
      this.events.progressed(this, finished, skipped);
    }
  }

  private handle(frame: RuntimeFrame, finished: Finished[], skipped: PoolTask[]): void {
    switch (frame.kind) {
      case 'completed':
        this.answered(frame, finished, { outcome: 'completed' });
        return;
      case 'failed':
        this.answered(frame, finished, { outcome: 'failed', failure: frame.failure });
        return;
      case 'output': {
        const sent = this.outstanding.get(frame.sequence);
        if (sent === undefined) return;
        printedBy(sent.task).append(frame.entries);
        if (sent.task.followed) this.events.printed(sent);
        return;
      }
      case 'skipped': {
        const sent = this.outstanding.get(frame.sequence);
        if (sent === undefined) return;
        this.remove(sent);
        skipped.push(sent.task);
        return;
      }
      case 'ready':
        if (this.state === 'starting') {
          this.state = 'ready';
          clearTimeout(this.killTimer);
        }
        this.wasReady = true;
        if (this.child.pythonPid !== undefined) this.lastWords.open(this.child.pythonPid, frame.sinks);
        this.events.ready(this, infoOf(frame));
        return;
      default:
        return frame satisfies never;
    }
  }

  private answered(frame: Ended, finished: Finished[], how: Pick<TaskResult, 'outcome' | 'failure'>): void {
    const sent = this.outstanding.get(frame.sequence);
    // A task that was taken back in the same moment: another process has it.
    if (sent === undefined) return;
    this.remove(sent);
    if (frame.recycle && this.state === 'ready') this.end('recycled');
    const { taskId, fence } = sent.task.order;
    const { payload, startedAtMs, runTimeUs, peakMemoryKib, outputTruncated } = frame;
    const output = sent.task.output?.record() ?? NOTHING;
    const { outcome, failure } = how;
    const result: TaskResult = {
      taskId,
      fence,
      outcome,
      payload,
      startedAtMs,
      runTimeUs,
      peakMemoryKib,
      output,
      outputTruncated,
    };
    if (failure) result.failure = failure;
    finished.push({ sent, result });
  }
}

function printedBy(task: PoolTask): PrintedOutput {
  return (task.output ??= new PrintedOutput(task.order.fence));
}

function infoOf({ pythonVersion, pythonImplementation, dillVersion }: RuntimeInfo): RuntimeInfo {
  return { pythonVersion, pythonImplementation, dillVersion };
}
