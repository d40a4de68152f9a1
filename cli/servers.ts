import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../actors/system.js';
import type { Environment, FsyncPolicy } from '../bus/config.js';
import { PlatformError } from '../bus/errors.js';
import { ChildProcess, findExecutable } from './childProcess.js';
import { freePort, portIsFree } from './freePort.js';
import { keepOutOfPageCache } from './pageCache.js';
import { writeSecretFile } from './security/secretFile.js';
import {
  followFiles,
  natsSecurityText,
  redisSecurityArgs,
  redisServes,
  type ServerSecurity,
  updateRedis,
} from './security/securedServers.js';
import { lastLine } from './lastLine.js';
import { StartError } from './startError.js';

/** How large one control message may be; heartbeats and announcements are small, a request for state need not be. */
const NATS_MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;
/** Redis loads its append-only file before it serves; gigabytes of it take a while. */
const READY_TIMEOUT_MS = 120_000;
const READY_POLL_MS = 10;
const STOP_GRACE_MS = 10_000;
/** A free port may be taken by somebody else before the server has it. */
const MAX_PORT_TRIES = 5;

export interface ServerOptions {
  /** Where the server keeps its files; made when missing. */
  readonly directory: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Where its output goes; without it, to the terminal. */
  readonly logFile?: string;
  readonly env: Environment;
  /** Of Redis: how often it syncs its append-only file to the disk. Default `everysec`. */
  readonly fsync?: FsyncPolicy;
  /** Who may use it; without it everybody on this machine. */
  readonly security?: ServerSecurity;
  /** What went wrong while it followed a change of its users or its certificate. */
  readonly onError?: (error: unknown) => void;
  /** Gives up starting. */
  readonly signal?: AbortSignal;
}

/** A redis-server or nats-server of our own, on the loopback interface. */
export interface Server extends Child {
  readonly url: string;
  /** The shortest way there on this machine: a Unix socket, where the server has one. Half the time and CPU of TCP. */
  readonly localUrl: string;
  readonly port: number;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  killGroup(): void;
  /** TERM, wait, KILL. Redis writes what it holds to its file first. */
  stop(): Promise<void>;
}

interface Program {
  readonly name: 'redis' | 'nats';
  readonly executable: string;
  readonly variable: 'REDIS_URL' | 'NATS_URL';
  /** What follows the program's name on its command line. */
  args(port: number, options: ServerOptions): string[];
  /** What to say to it, if it waits for us to speak first. */
  readonly greeting: string;
  /** What it answers once it serves. */
  readonly answer: RegExp;
}

/** Where it keeps its append-only file, and writes the one that takes its place. */
const redisFolders = (directory: string): string[] => [join(directory, 'appendonlydir'), directory];
const REDIS_FILES = /\.(aof|rdb)$/;

const SOCKET_NAME = 'redis.sock';
/** The kernel takes no longer paths. */
const MAX_SOCKET_PATH_BYTES = 100;

/** Where the redis-server that has its files in `directory` listens besides its port; undefined where the path is too long. */
export function redisSocket(directory: string): string | undefined {
  const path = join(directory, SOCKET_NAME);
  return Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES ? undefined : `unix://${path}`;
}

const REDIS: Program = {
  name: 'redis',
  executable: 'redis-server',
  variable: 'REDIS_URL',
  greeting: 'PING\r\n',
  answer: /^\+PONG/,
  args: (port, { directory, security, fsync = 'everysec' }) => [
    ...(security ? redisSecurityArgs(port, directory, security) : ['--bind', '127.0.0.1', '--port', String(port)]),
    ...['--dir', directory, '--daemonize', 'no'],
    ...['--appendonly', 'yes', '--appendfsync', fsync, '--save', ''],
    // Task hashes stay compact with arguments of some hundred bytes. The name is Redis 6's; 7 and later know it as
    // hash-max-listpack-value and take both.
    ...['--hash-max-ziplist-value', '512'],
    // With the usual 64 MiB, and compression, a child that rewrites the file takes a tenth of all processor time when arguments and results
    // are 1 MiB each. What it costs: up to a gigabyte on disk, and some seconds of loading it.
    ...['--auto-aof-rewrite-min-size', '1gb', '--rdbcompression', 'no'],
    ...['--maxmemory-policy', 'noeviction'],
    ...(redisSocket(directory) === undefined ? [] : ['--unixsocket', SOCKET_NAME, '--unixsocketperm', '700']),
  ],
};

const NATS: Program = {
  name: 'nats',
  executable: 'nats-server',
  variable: 'NATS_URL',
  greeting: '',
  answer: /^INFO /,
  args: (port, options) => ['-c', writeNatsConfig(port, options)],
};

function writeNatsConfig(port: number, { directory, security }: ServerOptions): string {
  const file = join(directory, 'nats.conf');
  const place = security ? natsSecurityText(port, security) : `host: "127.0.0.1"\nport: ${port}\n`;
  writeSecretFile(file, `${place}max_payload: ${NATS_MAX_PAYLOAD_BYTES}\n`);
  return file;
}

/**
 * Starts a redis-server that keeps every write in an append-only file under `directory`, and waits until it answers.
 * @throws PlatformError DEPENDENCY_MISSING, StartError
 */
export function startRedis(options: ServerOptions): Promise<Server> {
  return startServer(REDIS, options);
}

/** Starts a nats-server and waits until it answers. @throws PlatformError DEPENDENCY_MISSING, StartError */
export function startNats(options: ServerOptions): Promise<Server> {
  return startServer(NATS, options);
}

/** @throws PlatformError DEPENDENCY_MISSING unless the programs for private servers are here. */
export function requireServers(env: Environment, names: readonly ('redis' | 'nats')[]): void {
  for (const program of [REDIS, NATS]) if (names.includes(program.name)) executableOf(program, env);
}

function executableOf(program: Program, env: Environment): string {
  const path = findExecutable(program.executable, env['PATH']);
  if (path !== undefined) return path;
  const instead = `${program.variable} can name a running one instead`;
  throw new PlatformError('DEPENDENCY_MISSING', `${program.executable} is not installed (${instead}).`);
}

async function startServer(program: Program, options: ServerOptions): Promise<Server> {
  mkdirSync(options.directory, { recursive: true });
  // Asked beforehand, because whoever has the port would answer in our server's place.
  if (options.port !== undefined && !(await portIsFree(options.port))) {
    throw new StartError(
      `Port ${options.port} for ${program.executable} is taken; ${program.variable} can name another.`,
    );
  }
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort());
    const child = await ChildProcess.launch({
      name: program.name,
      command: executableOf(program, options.env),
      args: program.args(port, options),
      env: options.env,
      killWithParent: true,
      ...(options.logFile === undefined ? {} : { logFile: options.logFile }),
    });
    if (await becomesReady(program, child, port, options)) {
      followSecurity(program, child, port, options);
      if (program === REDIS) void child.exited.then(keepOutOfPageCache(redisFolders(options.directory), REDIS_FILES));
      return serverOf(program, child, port, options.directory);
    }
    if (options.signal?.aborted === true) throw new StartError(`${program.name} was told to stop before it served.`);
    if (options.port !== undefined || tries >= MAX_PORT_TRIES) {
      throw new StartError(
        `${program.executable} did not start on port ${port} (${await child.exited}).${lastWords(options.logFile)}`,
      );
    }
  }
}

/** While it runs, it knows the users and shows the certificate that the deployment's files have at the moment. */
function followSecurity(program: Program, child: ChildProcess, port: number, options: ServerOptions): void {
  const { security, directory, onError = () => undefined } = options;
  if (!security) return;
  const tell = async (): Promise<void> => {
    if (program === REDIS) {
      await updateRedis(port, directory, redisSocket(directory), security);
    } else {
      writeNatsConfig(port, options);
      child.kill('SIGHUP');
    }
  };
  void child.exited.then(followFiles(security, tell, onError));
}

function serverOf(program: Program, child: ChildProcess, port: number, directory: string): Server {
  const url = `${program.name}://127.0.0.1:${port}`;
  return {
    url,
    localUrl: (program === REDIS ? redisSocket(directory) : undefined) ?? url,
    port,
    pid: child.pid,
    exited: child.exited,
    kill: (signal) => {
      child.kill(signal);
    },
    killGroup: () => {
      child.killGroup();
    },
    stop: () => child.stop(STOP_GRACE_MS),
  };
}

/** True once it answers; false, and the process ended, when it exited, took too long or was given up. */
async function becomesReady(
  program: Program,
  child: ChildProcess,
  port: number,
  { signal, security, directory }: ServerOptions,
): Promise<boolean> {
  const serves = async (): Promise<boolean> =>
    security && program === REDIS
      ? redisServes(port, redisSocket(directory), security)
      : program.answer.test(await firstAnswer(port, program.greeting));
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  while (child.isRunning() && signal?.aborted !== true && performance.now() < deadlineMs) {
    if ((await serves()) && child.isRunning()) return true;
    await Promise.race([child.exited, sleep(READY_POLL_MS)]);
  }
  await child.stop(0);
  return false;
}

/** The first line a server on this port sends, or nothing when none answers. */
function firstAnswer(port: number, greeting: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1000 });
    const answer = (text: string): void => {
      socket.destroy();
      resolve(text);
    };
    socket.once('connect', () => socket.write(greeting));
    socket.once('data', (data) => {
      answer(data.toString('latin1'));
    });
    socket.once('timeout', () => {
      answer('');
    });
    socket.once('error', () => {
      answer('');
    });
    socket.once('close', () => {
      answer('');
    });
  });
}

function lastWords(logFile: string | undefined): string {
  if (logFile === undefined) return '';
  return ` Its last words: ${lastLine(logFile)} (${logFile})`;
}
