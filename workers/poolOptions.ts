/** What a pool is made with, and what it tells of its processes. */
import type { TaskRef } from '../bus/messages.js';
import type { OutputStream } from './frames.js';
import type { EndReason } from './pythonProcess.js';

export type ProcessEvent =
  | { type: 'spawned'; pid: number | undefined }
  | { type: 'ready'; pid: number | undefined }
  | {
      type: 'ended';
      pid: number | undefined;
      reason: EndReason;
      exitCode: number | null;
      signal: NodeJS.Signals | null;
    }
  /** Python has failed to start several times in a row; orders are given back until it does. */
  | { type: 'startFailed'; message: string };

export interface PythonPoolOptions {
  /** Interpreter, a path or a name on PATH. */
  python: string;
  slots: number;
  /** Folders that functions import from, besides `cwd` and PYTHONPATH. */
  pythonPath?: string[];
  /** Working directory of functions. Default: this process's. */
  cwd?: string;
  /** What functions see of the environment, but for credentials. Default: this process's. */
  environment?: NodeJS.ProcessEnv;
  /** Output kept per task. Default 1 MiB. */
  maxOutputBytes?: number;
  /** Largest pickled result. Default 64 MiB. */
  maxResultBytes?: number;
  /** Address space of a process, beyond which a function gets MemoryError. Default 0: no limit. */
  maxMemoryBytes?: number;
  onProcessEvent?: (event: ProcessEvent) => void;
  /** What running tasks print, as it comes. The whole is in each result besides. */
  onOutput?: (task: TaskRef, stream: OutputStream, bytes: Buffer) => void;
}
