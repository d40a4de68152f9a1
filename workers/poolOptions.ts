/** What a pool is made with, and what it tells of its processes. */
import type { EndReason } from './processParts.js';
import type { SandboxOptions } from './sandbox/sandboxOptions.js';

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
  | { type: 'startFailed'; message: string }
  /** The sandbox keeps functions from less than it could elsewhere. */
  | { type: 'weakened'; message: string };

export const DEFAULT_HUNG_AFTER_MS = 60_000;

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
  /** Output kept per task, the 13 bytes that each line costs besides its text included. Default 1 MiB. */
  maxOutputBytes?: number;
  /** Largest pickled result. Default 64 MiB. */
  maxResultBytes?: number;
  /** How far functions are kept from the machine. Default: `DEFAULT_SANDBOX`. */
  sandbox?: Partial<SandboxOptions>;
  /** Address space of a process, beyond which a function gets MemoryError. Default 0: no limit. */
  maxMemoryBytes?: number;
  /** Bodies of functions kept, bytes, least recently used out first. Default 256 MiB. */
  maxFunctionBytes?: number;
  /**
   * A process that is not ready so long after its start, or has not begun the task that it was sent so long ago, is replaced:
   * something in it holds the interpreter, or it was stopped. Default 60 s.
   */
  hungAfterMs?: number;
  onProcessEvent?: (event: ProcessEvent) => void;
}
