import type { TaskOrder, TaskRef, TaskResult } from '../bus/messages.js';

export interface RuntimeInfo {
  pythonVersion: string;
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
  /** Resolves when all processes have reported ready; rejects with a sentence that says what to do when Python cannot run. */
  start(): Promise<RuntimeInfo>;
  /** Makes a function's bytes known; must come before the first order that names it. */
  addFunction(functionId: string, body: Buffer): void;
  hasFunction(functionId: string): boolean;
  functionIds(): string[];
  run(orders: TaskOrder[]): void;
  /** Drops an order that has not started; terminates the process group of one that has. Reports nothing for it. */
  abort(task: TaskRef): void;
  /** Removes up to `limit` unstarted orders, the newest first, and returns them. */
  takeBack(limit: number): TaskOrder[];
  load(): PoolLoad;
  /** Ends every process: TERM, at most `graceMs` later KILL. What was running is not reported. Idempotent. */
  stop(graceMs: number): Promise<void>;
}
