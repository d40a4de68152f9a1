import { type ChildProcess as NodeChild, execFileSync, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { PlatformError } from '../bus/errors.js';
import type { Environment } from '../bus/config.js';

export interface LaunchOptions {
  /** What people call it, such as `worker-1`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Environment;
  /** Where stdout and stderr are appended; without it they are this process' own. */
  readonly logFile?: string;
  /** Opens an IPC channel; a Node child learns from its end that this process has died. */
  readonly ipc?: boolean;
  /** Has the kernel kill the child when this process dies: for programs that cannot notice it themselves. Linux only. */
  readonly killWithParent?: boolean;
}

/** A message from an actor to the process that started it. */
export type ActorNotice =
  /** It serves; `address` is where, for an actor that listens. */
  | { type: 'ready'; address?: string }
  /** It cannot, and ends; the message is meant for people. */
  | { type: 'failed'; message: string };

/**
 * A process in a group of its own, so that a Ctrl-C in the terminal reaches only who started it, and the order of stopping
 * stays that one's. Its output goes straight to a file: a pipe would make it wait for a slow reader, or die with the reader.
 */
export class ChildProcess {
  readonly name: string;
  readonly pid: number;
  /** Resolves, never rejects, with how it ended: `exit code 1`, `SIGKILL`. */
  readonly exited: Promise<string>;
  readonly #process: NodeChild;

  private constructor(name: string, process: NodeChild, pid: number, exited: Promise<string>) {
    this.name = name;
    this.#process = process;
    this.pid = pid;
    this.exited = exited;
  }

  /** @throws PlatformError DEPENDENCY_MISSING when there is no such program. */
  static async launch(options: LaunchOptions): Promise<ChildProcess> {
    const output = options.logFile === undefined ? 'inherit' : openSync(options.logFile, 'a');
    const prefix = options.killWithParent === true ? parentDeathPrefix() : [];
    const [command = options.command, ...args] = [...prefix, options.command, ...options.args];
    try {
      const child = spawn(command, args, {
        detached: true,
        env: options.env,
        stdio: ['ignore', output, output, ...(options.ipc === true ? (['ipc'] as const) : [])],
      });
      const exited = new Promise<string>((resolve) => {
        child.once('exit', (code, signal) => {
          resolve(signal ?? `exit code ${code ?? 'unknown'}`);
        });
      });
      const pid = await new Promise<number>((resolve, reject) => {
        child.once('spawn', () => {
          resolve(child.pid ?? 0);
        });
        child.once('error', (cause) => {
          reject(new PlatformError('DEPENDENCY_MISSING', `${options.command} cannot be started.`, { cause }));
        });
      });
      // A message to a child that has just died fails; its `exited` says all there is to say.
      child.on('error', () => undefined);
      return new ChildProcess(options.name, child, pid, exited);
    } finally {
      if (typeof output === 'number') closeSync(output);
    }
  }

  onNotice(listener: (notice: ActorNotice) => void): void {
    this.#process.on('message', (message) => {
      if (isNotice(message)) listener(message);
    });
  }

  isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Sends the signal to the process alone; does nothing when it has ended. */
  kill(signal: NodeJS.Signals): void {
    if (this.isRunning()) this.#process.kill(signal);
  }

  /** TERM, and `graceMs` later KILL to its whole process group. Idempotent; resolves when the process has ended. */
  async stop(graceMs: number): Promise<void> {
    this.kill('SIGTERM');
    const timer = setTimeout(() => {
      this.killGroup();
    }, graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  killGroup(): void {
    if (!this.isRunning()) return;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Gone between the check and the signal.
    }
  }
}

/**
 * Where a program is, or undefined. Debian keeps servers in directories that an ordinary user's PATH leaves out, and Homebrew in
 * one that a bare PATH leaves out.
 */
export function findExecutable(name: string, searchPath: string | undefined): string | undefined {
  const directories = (searchPath ?? '').split(delimiter).filter((directory) => directory !== '');
  const wellKnown = ['/usr/local/bin', '/usr/bin', '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];
  return [...directories, ...wellKnown]
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

let cachedParentDeathPrefix: readonly string[] | undefined;

/** The command that asks the kernel for a KILL at the parent's death, or nothing where the system has none. */
function parentDeathPrefix(): readonly string[] {
  cachedParentDeathPrefix ??= probeParentDeathPrefix();
  return cachedParentDeathPrefix;
}

function probeParentDeathPrefix(): readonly string[] {
  const prefix = ['setpriv', '--pdeathsig', 'KILL'];
  try {
    execFileSync('setpriv', [...prefix.slice(1), 'true'], { stdio: 'ignore' });
    return prefix;
  } catch {
    return [];
  }
}

function isNotice(message: unknown): message is ActorNotice {
  if (typeof message !== 'object' || message === null || !('type' in message)) return false;
  return message.type === 'ready' || message.type === 'failed';
}
