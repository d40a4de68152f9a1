/** How a runtime is started in any sandbox, and what it is told of it. */
import type { PythonPoolOptions } from '../poolOptions.js';
import type { SandboxOptions } from './sandboxOptions.js';
import { processesOf } from './userProcesses.js';

/** What every sandbox is made from. */
export interface SandboxParts {
  python: string;
  options: SandboxOptions;
  pool: PythonPoolOptions;
  environment: NodeJS.ProcessEnv;
  runtimeFolder: string;
  /** Functions are kept from less than they could be elsewhere. */
  warn: (message: string) => void;
}

/** What the runtime is told of its sandbox (`runtime_sandbox.py`). */
export interface RuntimeSandbox {
  /** Descriptors beside the protocol's are closed. */
  close: boolean;
  /** uid and gid to become. */
  user?: [uid: number, gid: number];
  open_files: number;
  file_bytes: number;
  processes: number;
  cpu_s: number;
  /** Directories to be emptied after each task. */
  clean: string[];
}

/** The command line of a runtime. @param parentPid as the runtime sees its parent */
export const runtimeArguments = (token: number, parentPid: number): string[] => [
  '-m',
  'mpcsfaas.runtime',
  String(token),
  String(parentPid),
];

/** @param uid whom functions run as; absent: as the worker @param slots processes of this pool, which share the user */
export function runtimeSandbox(options: SandboxOptions, uid: number | undefined, slots: number): RuntimeSandbox {
  const others = options.maxProcesses === 0 ? undefined : processesOf(uid ?? process.getuid?.() ?? -1);
  return {
    close: true,
    open_files: options.maxOpenFiles,
    file_bytes: options.maxFileBytes,
    processes: others === undefined ? 0 : others + options.maxProcesses * slots,
    cpu_s: options.maxCpuSeconds,
    clean: [],
  };
}
