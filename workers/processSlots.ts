/**
 * The processes of a pool: as many slots as were asked for, each a process that is starting or ready (`live`) or a planned
 * start. A process that is being ended gives its slot up at once, so that the next task does not wait until a stubborn one
 * is gone; it stays in `all` until it has ended.
 *
 *   idle --start--> starting --all ready--> running
 *                      |                       |
 *                      +--- Python cannot run -+--stop--> stopped
 */
import type { RuntimeInfo } from '../actors/processPool.js';
import { DEFAULT_HUNG_AFTER_MS, type PythonPoolOptions } from './poolOptions.js';
import { DEFAULT_MAX_OUTPUT_BYTES, runtimeFolder } from './pythonEnvironment.js';
import { EXIT_CANNOT_RUN, startFailureWords } from './processWords.js';
import type { Launch, ProcessEnd } from './processParts.js';
import { type ProcessEvents, PythonProcess } from './pythonProcess.js';
import { openSandbox } from './sandbox/openSandbox.js';
import { StartLimit } from './startLimit.js';

export interface SlotEvents extends ProcessEvents {
  /** Python has failed to start repeatedly, and no process is ready. */
  outOfProcesses(): void;
}

interface Starting {
  resolve: (info: RuntimeInfo) => void;
  reject: (error: Error) => void;
}

export class ProcessSlots {
  live: PythonProcess[] = [];
  /** All that have not ended, live ones too. */
  readonly all = new Set<PythonProcess>();
  private readonly plannedStarts = new Set<NodeJS.Timeout>();
  private readonly startLimit = new StartLimit();
  private starting: Starting | undefined;
  private stopped: Promise<void> | undefined;
  private allEnded: () => void = () => undefined;

  /** Once the sandbox is open. */
  private launch: Launch | undefined;

  constructor(
    private readonly options: PythonPoolOptions,
    private readonly events: SlotEvents,
  ) {}

  get isStopped(): boolean {
    return this.stopped !== undefined;
  }

  start(): Promise<RuntimeInfo> {
    return new Promise((resolve, reject) => {
      this.starting = { resolve, reject };
      this.open().catch((error: unknown) => {
        this.starting = undefined;
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
  }

  private async open(): Promise<void> {
    const sandbox = await openSandbox(this.options, (message) => {
      this.options.onProcessEvent?.({ type: 'weakened', message });
    });
    if (this.isStopped) {
      await sandbox.close();
      return;
    }
    this.launch = {
      sandbox,
      runtimeFolder: runtimeFolder(),
      maxOutputBytes: this.options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES,
      hungAfterMs: this.options.hungAfterMs ?? DEFAULT_HUNG_AFTER_MS,
    };
    this.fill();
  }

  stop(graceMs: number): Promise<void> {
    this.stopped ??= this.endAll(graceMs).then(() => this.launch?.sandbox.close());
    return this.stopped;
  }

  private endAll(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.allEnded = resolve;
      this.starting?.reject(new Error('The pool was stopped while it was starting.'));
      this.starting = undefined;
      for (const timer of this.plannedStarts) clearTimeout(timer);
      this.plannedStarts.clear();
      this.live = [];
      for (const process of this.all) process.end('stopped', graceMs);
      if (this.all.size === 0) resolve();
    });
  }

  /** Replaces a process that is about to end, or has. */
  giveUp(process: PythonProcess): void {
    const index = this.live.indexOf(process);
    if (index < 0) return;
    this.live.splice(index, 1);
    this.fill();
  }

  private fill(): void {
    while (this.launch && !this.isStopped && this.live.length + this.plannedStarts.size < this.options.slots) {
      const { delayMs } = this.startLimit;
      if (delayMs === 0) {
        this.spawn();
        continue;
      }
      const timer = setTimeout(() => {
        this.plannedStarts.delete(timer);
        this.spawn();
      }, delayMs);
      this.plannedStarts.add(timer);
    }
  }

  private spawn(): void {
    if (this.launch === undefined) return;
    let process: PythonProcess;
    try {
      process = new PythonProcess(this.launch, {
        ...this.events,
        ready: (ready, info) => {
          this.ready(ready, info);
        },
        ended: (ended, end) => {
          this.ended(ended, end);
        },
      });
    } catch (error) {
      this.notSpawned(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.live.push(process);
    this.all.add(process);
    this.options.onProcessEvent?.({ type: 'spawned', pid: process.pid });
  }

  private notSpawned(error: Error): void {
    this.startFailed({ reason: 'itself', exitCode: null, signal: null, stderr: '', outOfMemory: false, error });
    // Later, when there may be descriptors again.
    this.fill();
  }

  private ready(process: PythonProcess, info: RuntimeInfo): void {
    this.startLimit.succeeded();
    this.options.onProcessEvent?.({ type: 'ready', pid: process.pid });
    const isComplete = this.live.length === this.options.slots && this.live.every(({ state }) => state === 'ready');
    if (this.starting !== undefined && isComplete) {
      this.starting.resolve(info);
      this.starting = undefined;
    }
    this.events.ready(process, info);
  }

  private ended(process: PythonProcess, end: ProcessEnd): void {
    this.all.delete(process);
    const { reason, exitCode, signal } = end;
    this.options.onProcessEvent?.({ type: 'ended', pid: process.pid, reason, exitCode, signal });
    if (!this.isStopped) {
      if (!process.wasReady && (reason === 'itself' || reason === 'hung')) this.startFailed(end);
      this.giveUp(process);
    }
    this.events.ended(process, end);
    if (this.isStopped && this.all.size === 0) this.allEnded();
  }

  private startFailed(end: ProcessEnd): void {
    this.startLimit.failed(performance.now());
    const isDefinite = end.error !== undefined || end.exitCode === EXIT_CANNOT_RUN;
    if (!isDefinite && !this.startLimit.isExceeded) return;
    const message = startFailureWords(this.options.python, end);
    if (this.starting !== undefined) {
      this.starting.reject(new Error(message));
      this.starting = undefined;
      void this.stop(0);
      return;
    }
    this.options.onProcessEvent?.({ type: 'startFailed', message });
    if (!this.live.some(({ state }) => state === 'ready')) this.events.outOfProcesses();
  }
}
