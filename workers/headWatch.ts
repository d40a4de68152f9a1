/**
 * Time limits of running tasks, and the care for tasks that wait behind a long one.
 *
 * Timers exist only while there is something to watch: an idle pool costs nothing. Each process has at most one deadline,
 * that of its oldest unanswered task; one look-round serves all processes.
 */
import type { SentTask } from './processParts.js';
import type { PythonProcess } from './pythonProcess.js';

/** A process silent for so long, and twice as long as was to be expected, gives the tasks behind its running one back. */
const STALL_MS = 10;
/** How often a long task's output, and results gathered before it, are asked for. */
const POKE_MS = 1_000;
/** The same while somebody reads its output. */
const FOLLOWED_POKE_MS = 100;
/** How long a task whose time is up may take to send what it has printed. */
const LAST_POKE_MS = 10;

export interface HeadWatchEvents {
  /** The task's time is up; it is the one that runs. */
  timedOut(process: PythonProcess, sent: SentTask): void;
  /** Tasks wait behind one that has been running for STALL_MS. */
  stalled(process: PythonProcess): void;
  /** It has begun none of its tasks for so long that it will not. */
  hung(process: PythonProcess): void;
}

interface Deadline {
  sent: SentTask;
  timer: NodeJS.Timeout;
}

export class HeadWatch {
  private readonly deadlines = new Map<PythonProcess, Deadline>();
  private round: NodeJS.Timeout | undefined;
  private roundAtMs = Infinity;

  constructor(
    private readonly processes: () => readonly PythonProcess[],
    private readonly hungAfterMs: number,
    private readonly events: HeadWatchEvents,
  ) {}

  /** To be called whenever the oldest task of a process may have changed. */
  update(process: PythonProcess): void {
    const oldest = process.oldest();
    const deadline = this.deadlines.get(process);
    if (deadline !== undefined && deadline.sent !== oldest) this.forget(process);
    if (oldest === undefined) return;
    if (oldest.task.order.timeoutMs > 0 && deadline?.sent !== oldest)
      this.setDeadline(process, oldest, oldest.task.order.timeoutMs);
    this.schedule(periodMs(process));
  }

  forget(process: PythonProcess): void {
    clearTimeout(this.deadlines.get(process)?.timer);
    this.deadlines.delete(process);
  }

  stop(): void {
    clearTimeout(this.round);
    this.roundAtMs = Infinity;
    for (const process of this.deadlines.keys()) this.forget(process);
  }

  private setDeadline(process: PythonProcess, sent: SentTask, delayMs: number, isUp = false): void {
    // setTimeout takes no more than 31 bits.
    const timer = setTimeout(() => this.expired(process, sent, isUp), Math.min(delayMs, 0x7fff_ffff));
    this.deadlines.set(process, { sent, timer });
  }

  private expired(process: PythonProcess, sent: SentTask, isUp: boolean): void {
    const runs = process.begun() === sent;
    if (runs && isUp) {
      this.forget(process);
      this.events.timedOut(process, sent);
      return;
    }
    // If it does not run it has ended, and its result waits behind the task that does; or the process has not come to it yet.
    process.poke();
    this.setDeadline(process, sent, runs ? LAST_POKE_MS : STALL_MS, runs);
  }

  private schedule(delayMs: number): void {
    const atMs = performance.now() + delayMs;
    if (atMs >= this.roundAtMs) return;
    clearTimeout(this.round);
    this.roundAtMs = atMs;
    this.round = setTimeout(() => this.lookRound(), delayMs);
  }

  private lookRound(): void {
    this.roundAtMs = Infinity;
    const nowMs = performance.now();
    let nextMs = Infinity;
    for (const process of [...this.processes()]) {
      if (process.outstandingCount === 0) continue;
      const silentMs = nowMs - process.lastProgressMs;
      const period = periodMs(process);
      if (silentMs >= this.hungAfterMs && process.allBegun().length === 0) {
        this.events.hung(process);
        continue;
      }
      if (silentMs >= period) {
        if (hasWaiting(process)) this.events.stalled(process);
        else process.poke();
      }
      nextMs = Math.min(nextMs, silentMs < period ? period - silentMs : period);
    }
    if (nextMs !== Infinity) this.schedule(nextMs);
  }
}

const hasWaiting = (process: PythonProcess): boolean => process.outstandingCount > 1 && !process.takenBack;

/** After so long a silence something is to be done about the process. */
function periodMs(process: PythonProcess): number {
  const oldest = process.oldest();
  if (hasWaiting(process)) {
    const expectedUs = oldest?.expectedUs ?? Infinity;
    return expectedUs === Infinity ? STALL_MS : Math.max(STALL_MS, (2 * expectedUs) / 1000);
  }
  return oldest?.task.followed === true ? FOLLOWED_POKE_MS : POKE_MS;
}
