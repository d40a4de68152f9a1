import type { TaskOrder, TaskRef, TaskResult } from '../bus/messages.js';

export interface RuntimeInfo {
  pythonVersion: string;
  /** `sys.implementation.name`: `cpython`, `pypy`, ... */
  pythonImplementation: string;
  dillVersion: string;
}

export interface PoolLoad {
  running: number;
  /** Orders here that no function call has begun for. */
  queued: number;
}

/**
 * Runs orders on Python processes, `slots` at a time. The worker supervisor speaks to this interface; `workers/` has the real
 * one, the simulator a virtual one.
 *
 * Every order given to `run` ends in exactly one result through `onResults`, unless it was aborted or taken back.
 */
export interface ProcessPool {
  readonly slots: number;
  /** Called with what has finished, in batches as they form. Set before `start`. */
  onResults: (results: TaskResult[]) => void;
  /** Called when a followed attempt has printed something. */
  onPrinted: (task: TaskRef) => void;
  /** Called when an aborted attempt has ended, with the record of what it had printed, if anything. */
  onAborted: (task: TaskRef, output: Buffer) => void;
  /** Resolves when all processes have reported ready; rejects with a sentence that says what to do when Python cannot run. */
  start(): Promise<RuntimeInfo>;
  /** Makes a function's bytes known; must come before the first order that names it. */
  addFunction(functionId: string, body: Buffer): void;
  hasFunction(functionId: string): boolean;
  functionIds(): string[];
  run(orders: TaskOrder[]): void;
  /** Drops an order that has not started; terminates the process group of one that has. Reports nothing for it. */
  abort(task: TaskRef): void;
  /**
   * Removes up to `limit` unstarted orders, the newest first, and returns them.
   * @param among only orders of these tasks; absent: any
   */
  takeBack(limit: number, among?: ReadonlySet<string>): TaskOrder[];
  /** Whether what the attempt prints is wanted as it comes, through `onPrinted`; else it costs nothing to be ready for it. */
  follow(task: TaskRef, followed: boolean): void;
  /**
   * What the attempt has printed so far, as a record (`bus/outputRecord.ts`) of `length` bytes: at most `limit` of them from `from`
   * on. Undefined when the attempt is not here, or has ended.
   */
  printed(task: TaskRef, from: number, limit: number): { bytes: Buffer; length: number } | undefined;
  load(): PoolLoad;
  /** Ends every process: TERM, at most `graceMs` later KILL. What was running is not reported. Idempotent. */
  stop(graceMs: number): Promise<void>;
}
