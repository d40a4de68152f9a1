/** How far the functions of a worker are kept from its machine: what a pool is told, and what one process gets of it. */

import type { SandboxKind } from '../../bus/config.js';

/** Of each Python process and what it starts; 0 is no limit. */
export interface SandboxLimits {
  maxOpenFiles: number;
  maxFileBytes: number;
  /** Processes and threads. */
  maxProcesses: number;
  /** CPU time of one task, s. */
  maxCpuSeconds: number;
}

export interface SandboxOptions extends SandboxLimits {
  kind: SandboxKind;
  /** Whom functions run as where the worker runs as root. Absent: `nobody`, or root where nobody cannot run Python. */
  user?: string;
  /** `NAME` or `NAME=value`: what functions see of the environment besides what Python and its libraries need. */
  environment: readonly string[];
  /** `bubblewrap`: whether functions may use the network. */
  network: boolean;
  /** `bubblewrap`: absolute paths that functions may read besides Python, the import path and the worker's directory. */
  readable: readonly string[];
  /** `bubblewrap`: absolute paths that functions must not see though they lie below readable ones. */
  hidden: readonly string[];
  /** `bubblewrap`: how much fits into /tmp, and into /dev/shm. */
  temporaryBytes: number;
}

export const DEFAULT_SANDBOX: SandboxOptions = {
  kind: 'process',
  environment: [],
  maxOpenFiles: 1024,
  maxFileBytes: 4 * 1024 ** 3,
  maxProcesses: 256,
  maxCpuSeconds: 0,
  network: false,
  readable: [],
  hidden: [],
  temporaryBytes: 256 * 1024 ** 2,
};

/** What is to be spawned, for `child_process.spawn`. */
export interface Spawn {
  file: string;
  args: string[];
  environment: NodeJS.ProcessEnv;
  uid?: number;
  gid?: number;
}

export interface ExitStatus {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
}

/** What one process is put into. */
export interface Enclosure {
  readonly spawn: Spawn;
  /** How many processes stand between the pool and Python; they must get no signal but KILL. */
  readonly wrappers: number;
  /** How Python ended, where something else tells it. */
  exitOf(status: ExitStatus): ExitStatus;
  /** Whether the kernel has killed for want of memory inside. */
  ranOutOfMemory(): boolean;
  /** After the process and all below it have ended. */
  leave(): void;
}

/** The sandbox of a pool. */
export interface Sandbox {
  /** @param token of the process's wire */
  enclose(token: number): Enclosure;
  /** When no process is left. Removes what the sandbox has made. */
  close(): Promise<void>;
}
