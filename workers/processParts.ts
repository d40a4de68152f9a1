/** What a process is started with, what it has, and how it ends. */
import type { TaskResult } from '../bus/messages.js';
import type { PoolTask } from './poolTask.js';
import type { Sandbox } from './sandbox/sandboxOptions.js';

/** Why a process was ended, or `itself` where the pool did not ask for it; `hung`: it did not start, or began no task. */
export type EndReason = 'itself' | 'hung' | 'recycled' | 'timeout' | 'aborted' | 'corrupt' | 'stopped';

export interface ProcessEnd {
  reason: EndReason;
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** What it wrote before it was ready, bounded. */
  stderr: string;
  /** What the interpreter says of its crash. */
  crashReport?: string;
  /** The kernel killed in its sandbox for want of memory. */
  outOfMemory: boolean;
  /** Spawning itself failed. */
  error?: Error;
}

/** A task in a process. */
export interface SentTask {
  readonly task: PoolTask;
  readonly sequence: number;
  readonly expectedUs: number;
  /** Wall clock, for a task of which no measurement comes. */
  readonly sentAtMs: number;
}

export interface Finished {
  sent: SentTask;
  result: TaskResult;
}

export interface Launch {
  runtimeFolder: string;
  sandbox: Sandbox;
  /** Output kept per task, bytes. */
  maxOutputBytes: number;
  /** How long it may take to be ready. */
  hungAfterMs: number;
}
