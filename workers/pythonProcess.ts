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
import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import type { RuntimeInfo } from '../actors/processPool.js';
import type { TaskResult } from '../bus/messages.js';
import { orderBytes } from '../bus/orderBytes.js';
import { CorruptWireError, FrameDecoder, orderFrame, writePieces, type Ended, type RuntimeFrame } from './frames.js';
import { LastWords } from './lastWords.js';
import { LoadedFunctions } from './loadedFunctions.js';
import type { PoolTask } from './poolTask.js';
import { PrintedOutput } from './printedOutput.js';
import { peakMemoryKib, ProcessTree } from './processGroup.js';
import type { EndReason, Finished, Launch, ProcessEnd, SentTask } from './processParts.js';
import { SharedPage } from './sharedPage.js';
import type { Slot } from './slotChoice.js';

/** How long a process may take to end after TERM. */
export const TERM_GRACE_MS = 500;
/** How long what a dead process wrote may take to arrive; a descriptor that leaked to a stranger could keep the pipe open. */
const LAST_WORDS_MS = 200;
/** A process that closed its pipe but lives cannot answer any more. */
const CLOSED_WIRE_GRACE_MS = 50;
const STDERR_LIMIT_CHARS = 8_192;
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
  /** Monotonic; when it answered last, or began after being idle. */
  lastProgressMs = performance.now();
  wasReady = false;
  private reason: EndReason = 'itself';
  private readonly token = randomInt(1, 0xffff_ffff);
  private readonly page = new SharedPage();
  private readonly decoder = new FrameDecoder(this.token);
  private readonly child: ChildProcess;
  private readonly input: Socket;
  private unsent: Buffer[] = [];
  private sequence = 0;
  private readonly functions = new LoadedFunctions(this.token);
  private readonly lastWords = new LastWords();
  private stderr = '';
  private tree: ProcessTree | undefined;
  private killTimer: NodeJS.Timeout | undefined;
  /** Of the process so far, as far as it was looked at. */
  peakMemoryKib = 0;

  constructor(
    private readonly launch: Launch,
    private readonly events: ProcessEvents,
  ) {
    this.child = spawn(launch.python, ['-m', 'mpcsfaas.runtime', String(this.token), String(process.pid)], {
      cwd: launch.runtimeFolder,
      env: launch.environment,
      // Its own session, so that its whole group can be signalled, and a terminal's ctrl-C does not reach it.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', this.page.fd],
    });
    if (this.child.pid !== undefined) this.tree = new ProcessTree(this.child.pid);
    const [, , , input, output] = this.child.stdio;
    this.input = input as Socket;
    this.listen(output as Socket);
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get outstandingCount(): number {
    return this.outstanding.size;
  }

  get stalled(): boolean {
    return this.takenBack || this.input.writableNeedDrain;
  }

  get exhausted(): boolean {
    return this.sequence >= LAST_SEQUENCE;
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
  send(task: PoolTask, body: Buffer, expectedUs: number): void {
    if (this.outstanding.size === 0) this.lastProgressMs = performance.now();
    const { functionId } = task.order;
    const sequence = ++this.sequence;
    const index = this.functions.index(functionId, body, this.unsent);
    this.unsent.push(...orderFrame(this.token, sequence, index, task.order));
    this.outstanding.set(sequence, { task, sequence, expectedUs, sentAtMs: Date.now() });
    this.outstandingBytes += orderBytes(task.order);
    this.backlogUs += expectedUs;
  }

  /** Writes what was gathered, as one write. */
  flush(): void {
    if (this.unsent.length === 0) return;
    if (this.input.writable) writePieces(this.input, this.unsent);
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
    this.measureMemory();
    this.child.kill('SIGURG');
  }

  private measureMemory(): void {
    if (this.pid !== undefined) this.peakMemoryKib = Math.max(this.peakMemoryKib, peakMemoryKib(this.pid));
  }

  /** TERM to the group, after `graceMs` KILL. */
  end(reason: EndReason, graceMs = TERM_GRACE_MS): void {
    if (this.state === 'ended') return;
    if (this.state !== 'ending') {
      this.state = 'ending';
      this.reason = reason;
    }
    clearTimeout(this.killTimer);
    if (this.hasExited()) return;
    this.measureMemory();
    this.tree?.signal(graceMs <= 0 ? 'SIGKILL' : 'SIGTERM');
    if (graceMs > 0) this.killTimer = setTimeout(() => this.end(reason, 0), graceMs);
  }

  private hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  private remove(sent: SentTask): void {
    this.outstanding.delete(sent.sequence);
    this.outstandingBytes -= orderBytes(sent.task.order);
    // Not subtracted when nothing is left: infinite minus infinite is no number.
    this.backlogUs = this.outstanding.size === 0 ? 0 : this.backlogUs - sent.expectedUs;
  }

  private listen(output: Socket): void {
    // Errors of the pipes only repeat that the process is gone, which its exit tells better.
    this.input.on('error', () => undefined);
    output.on('error', () => undefined);
    output.on('data', (chunk: Buffer) => this.received(chunk));
    output.on('end', () => {
      setTimeout(() => {
        if (!this.hasExited()) this.end('corrupt', 0);
      }, CLOSED_WIRE_GRACE_MS).unref();
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-STDERR_LIMIT_CHARS);
    });
    this.child.once('error', (error) => {
      // `error` also reports a failed kill; only without a pid was nothing started.
      if (this.pid === undefined) this.finish({ exitCode: null, signal: null, error });
    });
    this.child.once('exit', (exitCode, signal) => {
      this.tree?.signal('SIGKILL');
      const done = (): void => {
        clearTimeout(timer);
        this.finish({ exitCode, signal });
      };
      const timer = setTimeout(done, LAST_WORDS_MS);
      if (output.closed || output.readableEnded) done();
      else output.once('close', done);
    });
  }

  private finish(end: Pick<ProcessEnd, 'exitCode' | 'signal' | 'error'>): void {
    if (this.state === 'ended') return;
    this.state = 'ended';
    clearTimeout(this.killTimer);
    const crashReport = this.hearLastWords();
    this.page.close();
    for (const stream of this.child.stdio) stream?.destroy();
    const report = crashReport === undefined ? {} : { crashReport };
    this.events.ended(this, { ...end, reason: this.reason, stderr: this.stderr.trim(), ...report });
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
        if (this.state === 'starting') this.state = 'ready';
        this.wasReady = true;
        if (this.pid !== undefined) this.lastWords.open(this.pid, frame.sinks);
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
    finished.push({
      sent,
      result: { taskId, fence, ...how, payload, startedAtMs, runTimeUs, peakMemoryKib, output, outputTruncated },
    });
  }
}

function printedBy(task: PoolTask): PrintedOutput {
  return (task.output ??= new PrintedOutput(task.order.fence));
}

function infoOf({ pythonVersion, pythonImplementation, dillVersion }: RuntimeInfo): RuntimeInfo {
  return { pythonVersion, pythonImplementation, dillVersion };
}
