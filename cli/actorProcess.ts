import { join } from 'node:path';
import type { Environment } from '../bus/config.js';
import { PACKAGE_ROOT } from '../bus/packageRoot.js';
import { ChildProcess } from './childProcess.js';
import { ENGINE_ENVIRONMENT } from './engine.js';
import { lastLine } from './lastLine.js';
import { StartError } from './startError.js';

/** The executable behind `mpcsfaas`; a path, because nothing may import it. */
export const MAIN = join(PACKAGE_ROOT, 'dist', 'cli', 'main.js');

const READY_TIMEOUT_MS = 60_000;
/** What an actor gets beyond the grace it gives itself, before its whole process group is killed. */
const STOP_MARGIN_MS = 3000;

export interface ActorOptions {
  readonly name: string;
  /** Arguments of `mpcsfaas`. */
  readonly args: readonly string[];
  readonly env: Environment;
  readonly logFile?: string;
  readonly shutdownGraceMs: number;
  /** Gives up starting. */
  readonly signal?: AbortSignal;
}

/** An actor of the platform in a process of its own, which has said that it serves. */
export interface ActorProcess {
  readonly name: string;
  readonly pid: number;
  /** Where it listens, if it does. */
  readonly address: string | undefined;
  readonly exited: Promise<string>;
  kill(signal: NodeJS.Signals): void;
  /** KILL to it and whatever it started in its process group. */
  killGroup(): void;
  /** Lets it drain, bounded; resolves when it has ended. */
  stop(): Promise<void>;
}

/** Starts an actor and waits until it serves. @throws StartError with the actor's own words when it does not come to it. */
export async function startActor(options: ActorOptions): Promise<ActorProcess> {
  const child = await ChildProcess.launch({
    name: options.name,
    command: process.execPath,
    args: ['--enable-source-maps', MAIN, ...options.args],
    env: { ...ENGINE_ENVIRONMENT, ...options.env },
    ipc: true,
    ...(options.logFile === undefined ? {} : { logFile: options.logFile }),
  });
  const stop = (): Promise<void> => child.stop(options.shutdownGraceMs + STOP_MARGIN_MS);
  try {
    const address = await ready(child, options);
    return {
      name: options.name,
      pid: child.pid,
      address,
      exited: child.exited,
      stop,
      kill: (signal) => {
        child.kill(signal);
      },
      killGroup: () => {
        child.killGroup();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Resolves with the actor's address when it is ready; rejects when it ends, says that it cannot, or is given up. */
function ready(child: ChildProcess, options: ActorOptions): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      finish();
      reject(new StartError(`${options.name} did not start: ${why}`));
    };
    const giveUp = (): void => {
      fail('it was told to stop.');
    };
    const timer = setTimeout(() => {
      fail(`it said nothing for ${READY_TIMEOUT_MS / 1000} s.${lastWords(options.logFile)}`);
    }, READY_TIMEOUT_MS);
    const finish = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', giveUp);
    };
    options.signal?.addEventListener('abort', giveUp);
    child.onNotice((notice) => {
      if (notice.type === 'failed') {
        fail(notice.message);
        return;
      }
      finish();
      resolve(notice.address);
    });
    // A notice sent just before the end may still be on its way when the end is known.
    void child.exited.then((how) => setTimeout(fail, 50, `it ended (${how}).${lastWords(options.logFile)}`));
    if (options.signal?.aborted === true) giveUp();
  });
}

function lastWords(logFile: string | undefined): string {
  if (logFile === undefined) return '';
  const line = lastLine(logFile);
  return line === '' ? ` See ${logFile}.` : ` Its last words: ${line} (${logFile})`;
}
