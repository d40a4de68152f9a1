import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FsyncPolicy } from '../../bus/config.js';
import { startNats as startNatsServer, startRedis as startRedisServer, type Server } from '../../cli/servers.js';
import { eventually } from './eventually.js';
import { noteSignal } from './frozen.js';

export { freePort } from '../../cli/freePort.js';

/** A real server with a temporary directory of its own, which goes with it. */
export interface SpecServer {
  /** Of the process that runs at present. */
  readonly pid: number;
  readonly url: string;
  /** See `Server.localUrl`. */
  readonly localUrl: string;
  readonly port: number;
  readonly directory: string;
  /** Sends the signal and, for those that end a process, waits for its end. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and files, after stopping it if it runs. */
  restart(): Promise<void>;
  /** Stops it and removes its files. Idempotent. */
  stop(): Promise<void>;
}

/**
 * A redis-server with an append-only file, on a free port. Under `everysec` it may hold back what it has answered while a sync is
 * under way: specs that kill it and look for what it held ask for `synced` before, or for `always`, which is slow where the disk is.
 */
export function startRedis(fsync: FsyncPolicy = 'everysec'): Promise<SpecServer> {
  return startServer('redis', (options) => startRedisServer({ ...options, fsync }));
}

/** A nats-server on a free port. */
export function startNats(): Promise<SpecServer> {
  return startServer('nats', startNatsServer);
}

async function startServer(name: 'redis' | 'nats', start: typeof startRedisServer): Promise<SpecServer> {
  const directory = mkdtempSync(join(tmpdir(), `${name}-`));
  const options = { directory, logFile: join(directory, `${name}.log`), env: process.env };
  let server: Server = await start(options);
  const { url, localUrl, port } = server;
  return {
    url,
    localUrl,
    port,
    directory,
    get pid() {
      return server.pid;
    },
    kill: (signal) => killAndWait(server, signal),
    restart: async () => {
      await server.stop();
      server = await start({ ...options, port });
    },
    stop: async () => {
      // A stopped process takes no TERM.
      server.kill('SIGCONT');
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const NOT_ENDING: readonly NodeJS.Signals[] = ['SIGSTOP', 'SIGCONT', 'SIGUSR1', 'SIGUSR2', 'SIGHUP'];

/** Sends a signal, and waits until the process has stopped or ended, where it is one that does that. */
export async function killAndWait(
  target: { readonly pid: number; kill(signal: NodeJS.Signals): void; readonly exited: Promise<string> },
  signal: NodeJS.Signals,
): Promise<void> {
  noteSignal(target.pid, signal);
  target.kill(signal);
  if (signal === 'SIGSTOP') await eventually('it has stopped', () => hasStopped(target.pid));
  if (!NOT_ENDING.includes(signal)) await target.exited;
}

/** Each thread by itself, when it runs next: on a busy machine the others go on meanwhile. Where there is no /proc (macOS) it is believed. */
function hasStopped(pid: number): boolean {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.every((id) => /^\d+ \(.*\) [TtZX]/.test(readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8')));
  } catch {
    return true;
  }
}
