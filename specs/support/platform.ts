import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ActorProcess, startActor } from '../../cli/actorProcess.js';
import { freePort } from '../../cli/freePort.js';
import { type Environment, type Mode } from '../../bus/config.js';
import { PYTHON } from './python.js';
import { killAndWait, type SpecServer, startNats, startRedis } from './servers.js';

export interface PlatformOptions {
  /** Default push. */
  readonly mode?: Mode;
  /** Workers to start; default 1, in local mode none. */
  readonly workers?: number;
  /** Python processes of each, or of the dispatcher in local mode. Default 2. */
  readonly slots?: number;
  /** Variables of every actor, such as `LEASE_MS`. */
  readonly env?: Environment;
}

/** An actor in a process of its own: killed and started again at will; nothing restarts it by itself. */
export interface SpecActor {
  readonly name: string;
  /** Of the process that runs at present. */
  readonly pid: number;
  readonly running: boolean;
  /** What it has logged so far, over all its starts; JSON lines. */
  log(): string;
  /** Sends the signal and, for those that end a process, waits for its end. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it where it was, after stopping it if it runs. */
  restart(): Promise<void>;
  /** Lets it drain. Idempotent. */
  stop(): Promise<void>;
}

export interface SpecPlatform {
  readonly apiUrl: string;
  readonly dispatcherUrl: string;
  /** DATA_DIR of all actors. */
  readonly dataDir: string;
  readonly redis: SpecServer;
  readonly nats: SpecServer;
  readonly api: SpecActor;
  readonly monitor: SpecActor;
  readonly dispatcher: SpecActor;
  readonly workers: readonly SpecActor[];
  /** Starts one more worker. */
  addWorker(): Promise<SpecActor>;
  /** Starts any other actor with this platform's variables, such as a second dispatcher; it stops with the platform. */
  addActor(name: string, args: readonly string[], env?: Environment): Promise<SpecActor>;
  /** One HTTP call with a JSON body and answer. */
  call(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  /** Stops everything in reverse order and removes all files. Idempotent. */
  stop(): Promise<void>;
}

/** Drains of specs' actors are short: a hanging one should fail a spec, not the patience of its reader. */
const SHUTDOWN_GRACE_MS = 5000;

/** A whole platform of real processes on free ports, in a directory of its own. */
export async function startPlatform(options: PlatformOptions = {}): Promise<SpecPlatform> {
  const { mode = 'push', slots = 2 } = options;
  const directory = mkdtempSync(join(tmpdir(), 'platform-'));
  const [redis, nats] = await Promise.all([startRedis(), startNats()]);
  const [apiPort, dispatcherPort] = [await freePort(), await freePort()];
  const dispatcherUrl = `tcp://127.0.0.1:${dispatcherPort}`;
  const env: Environment = {
    ...process.env,
    LOG_FORMAT: 'json',
    PYTHON,
    MODE: mode,
    API_PORT: String(apiPort),
    REDIS_URL: redis.localUrl,
    NATS_URL: nats.url,
    DISPATCHER_URL: dispatcherUrl,
    DATA_DIR: directory,
    SHUTDOWN_GRACE_MS: String(SHUTDOWN_GRACE_MS),
    ...options.env,
  };
  const started: SpecActor[] = [];
  const addActor = async (name: string, args: readonly string[], more: Environment = {}): Promise<SpecActor> => {
    const actor = await startSpecActor(name, args, { ...env, ...more }, directory);
    started.push(actor);
    return actor;
  };
  const workers: SpecActor[] = [];
  const addWorker = async (): Promise<SpecActor> => {
    const name = `worker-${workers.length + 1}`;
    const worker = await addActor(name, [`${mode}_worker`, String(slots), dispatcherUrl]);
    workers.push(worker);
    return worker;
  };
  const stop = async (): Promise<void> => {
    // Workers first: they started last. The actors of one kind stop together.
    await Promise.all(workers.map((worker) => worker.stop()));
    await Promise.all(started.map((actor) => actor.stop()));
    await Promise.all([redis.stop(), nats.stop()]);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const [api, monitor, dispatcher] = await Promise.all([
      addActor('api', ['api']),
      addActor('monitor', ['monitor']),
      addActor('dispatcher', ['dispatcher', '-m', mode, '-p', String(dispatcherPort), '-w', String(slots)]),
    ]);
    for (let count = mode === 'local' ? 0 : (options.workers ?? 1); count > 0; count--) await addWorker();
    const apiUrl = `http://127.0.0.1:${apiPort}`;
    return {
      ...{
        apiUrl,
        dispatcherUrl,
        dataDir: directory,
        redis,
        nats,
        api,
        monitor,
        dispatcher,
        workers,
        addWorker,
        addActor,
        stop,
      },
      call: (method, path, body) => call(`${apiUrl}${path}`, method, body),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startSpecActor(
  name: string,
  args: readonly string[],
  env: Environment,
  directory: string,
): Promise<SpecActor> {
  const logs = join(directory, 'logs');
  mkdirSync(logs, { recursive: true });
  const logFile = join(logs, `${name}.log`);
  const start = (): Promise<ActorProcess> =>
    startActor({ name, args, env, logFile, shutdownGraceMs: SHUTDOWN_GRACE_MS });
  let running = true;
  const watch = (started: ActorProcess): ActorProcess => {
    running = true;
    void started.exited.then(() => {
      if (started === current) running = false;
    });
    return started;
  };
  let current: ActorProcess = watch(await start());
  return {
    name,
    get pid() {
      return current.pid;
    },
    get running() {
      return running;
    },
    log: () => readFileSync(logFile, 'utf8'),
    kill: (signal) => killAndWait(current, signal),
    restart: async () => {
      await current.stop();
      current = watch(await start());
    },
    stop: async () => {
      // A stopped process takes no TERM.
      current.kill('SIGCONT');
      await current.stop();
    },
  };
}

async function call(url: string, method: string, body: unknown): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, {
    method,
    // Kept connections would outlive the platform, and count as leaked.
    headers: { connection: 'close', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
}
