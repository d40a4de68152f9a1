import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '../actors/clock.js';
import { type Child, type ChildSpec, System, type SystemEnd, type SystemEvent } from '../actors/system.js';
import type { Config, Environment } from '../bus/config.js';
import { startActor } from './actorProcess.js';
import { lockDirectory } from './directoryLock.js';
import { freePort, portIsFree } from './freePort.js';
import { keepPreviousLog } from './logTail.js';
import { redisSocket, requireServers, type Server, type ServerOptions, startNats, startRedis } from './servers.js';
import { readDispatcherKeys } from './security/keyFiles.js';
import { handedOn, withoutSecrets } from './security/roles.js';
import { serverSecurity } from './security/serverSecurity.js';
import { tokenSource } from './security/workerToken.js';
import { StartError } from './startError.js';

/** Beyond what the slowest child gives itself: the last resort of a bounded stop. */
const STOP_MARGIN_MS = 10_000;

export interface PlatformOptions {
  readonly config: Config;
  /** What the children inherit; REDIS_URL and NATS_URL, where they are set, name servers to use instead of private ones. */
  readonly env: Environment;
  /** A child's log file has been made and is about to be written to. */
  readonly onLogFile?: (name: string, path: string) => void;
  readonly onEvent?: (event: SystemEvent) => void;
}

/** Where the parts of a running platform are. */
export interface PlatformAddresses {
  readonly apiUrl: string;
  readonly dispatcherUrl: string;
  readonly redisUrl: string;
  readonly natsUrl: string;
  readonly logDirectory: string;
}

interface PlatformChild extends Child {
  killGroup(): void;
}

/** A whole platform on this machine: its servers and actors as separate processes under one supervising system. */
export class Platform {
  readonly addresses: PlatformAddresses;
  readonly #children: Set<PlatformChild>;
  readonly #system: System;
  readonly #unlock: () => Promise<void>;

  private constructor(
    addresses: PlatformAddresses,
    children: Set<PlatformChild>,
    system: System,
    unlock: () => Promise<void>,
  ) {
    this.addresses = addresses;
    this.#children = children;
    this.#system = system;
    this.#unlock = unlock;
  }

  /**
   * Checks everything that can be wrong beforehand, chooses the ports, takes the data directory. Starts nothing.
   * @throws StartError, PlatformError
   */
  static async prepare(options: PlatformOptions): Promise<Platform> {
    const { config, env } = options;
    const given = { redis: env['REDIS_URL'], nats: env['NATS_URL'] };
    requireServers(
      env,
      (['redis', 'nats'] as const).filter((name) => isUnset(given[name])),
    );
    const [dispatcherPort, apiPort] = [await chooseDispatcherPort(config, env), await chooseApiPort(config)];
    await requirePython(config, env);
    const unlock = await lockDirectory(config.dataDir, 'another platform');
    try {
      const logDirectory = join(config.dataDir, 'logs');
      mkdirSync(logDirectory, { recursive: true });
      const addresses: PlatformAddresses = {
        apiUrl: `http://${reachableHost(config.apiHost)}:${apiPort}`,
        dispatcherUrl: `tcp://127.0.0.1:${dispatcherPort}`,
        redisUrl: isUnset(given.redis) ? `redis://127.0.0.1:${await freePort()}` : config.redisUrl,
        natsUrl: isUnset(given.nats) ? `nats://127.0.0.1:${await freePort()}` : config.natsUrl,
        logDirectory,
      };
      const children = new Set<PlatformChild>();
      const stages = stagesOf(options, addresses, { redis: isUnset(given.redis), nats: isUnset(given.nats) });
      const system = new System({
        stages: stages.map((stage) => stage.map((spec) => remembering(spec, children))),
        clock: systemClock,
        stopTimeoutMs: config.shutdownGraceMs + STOP_MARGIN_MS,
        ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
      });
      return new Platform(addresses, children, system, unlock);
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  /** Resolves with true when all serve; with false when it was stopped, or failed, before that. */
  start(): Promise<boolean> {
    return this.#system.start();
  }

  /** Drains and stops all of it in reverse order, bounded. Idempotent. */
  async stop(): Promise<void> {
    await this.#system.stop();
    await this.#unlock();
  }

  /** Kills what runs at this moment; `stop` must have been called, or it would be started again. */
  kill(): void {
    for (const child of this.#children) child.killGroup();
  }

  get ended(): Promise<SystemEnd> {
    return this.#system.ended;
  }
}

interface PlatformChildSpec extends ChildSpec {
  start(signal: AbortSignal): Promise<PlatformChild>;
}

/** The same child, kept in `children` while it runs. */
function remembering(spec: PlatformChildSpec, children: Set<PlatformChild>): ChildSpec {
  return {
    ...spec,
    start: async (signal) => {
      const child = await spec.start(signal);
      children.add(child);
      void child.exited.then(() => children.delete(child));
      return child;
    },
  };
}

function stagesOf(
  options: PlatformOptions,
  addresses: PlatformAddresses,
  ownServers: { redis: boolean; nats: boolean },
): PlatformChildSpec[][] {
  const { config } = options;
  const slots = String(config.slots);
  const port = new URL(addresses.dispatcherUrl).port;
  const redisUrl = (ownServers.redis ? redisSocket(join(config.dataDir, 'redis')) : undefined) ?? addresses.redisUrl;
  const actor = (name: string, ...args: string[]): PlatformChildSpec =>
    actorSpec(options, { ...addresses, redisUrl }, name, args);
  const token = tokenSource(config)?.();
  // A key has one name: its workers are told apart by what follows it.
  const named = (number: number): string[] => (token ? ['--name', `${token.name}.worker-${number}`] : []);
  const workers = Array.from({ length: config.mode === 'local' ? 0 : config.workers }, (_, index) =>
    leaver(actor(`worker-${index + 1}`, `${config.mode}_worker`, slots, addresses.dispatcherUrl, ...named(index + 1))),
  );
  return [
    [
      ...(ownServers.redis ? [serverSpec(options, addresses, 'redis', startRedis, addresses.redisUrl)] : []),
      ...(ownServers.nats ? [serverSpec(options, addresses, 'nats', startNats, addresses.natsUrl)] : []),
    ],
    [
      // Stops after the workers, so that clients who wait get what the workers finish while they drain.
      actor('api', 'api'),
      actor('monitor', 'monitor'),
      leaver(actor('dispatcher', 'dispatcher', '-m', config.mode, '-p', port, '-w', slots)),
    ],
    workers,
  ];
}

/** One that can be drained, and then has left for good. */
const leaver = (spec: PlatformChildSpec): PlatformChildSpec => ({ ...spec, restart: 'transient' });

function serverSpec(
  options: PlatformOptions,
  addresses: PlatformAddresses,
  name: string,
  start: (options: ServerOptions) => Promise<Server>,
  url: string,
): PlatformChildSpec {
  const logFile = newLogFile(addresses, name);
  return {
    name,
    restart: 'permanent',
    start: (signal) =>
      start({
        directory: join(options.config.dataDir, name),
        port: Number(new URL(url).port),
        fsync: options.config.redisFsync,
        logFile,
        env: options.env,
        signal,
        ...serverSecurity(options.config, '127.0.0.1'),
      }),
  };
}

function actorSpec(
  options: PlatformOptions,
  addresses: PlatformAddresses,
  name: string,
  args: readonly string[],
): PlatformChildSpec {
  const logFile = newLogFile(addresses, name);
  options.onLogFile?.(name, logFile);
  const given = args[0]?.endsWith('_worker') === true ? withoutSecrets(options.env) : handedOn(options.env);
  const env: Environment = {
    ...given,
    // What they say is shown to people here, and kept for them in files.
    LOG_FORMAT: options.config.logFormat ?? 'pretty',
    API_PORT: new URL(addresses.apiUrl).port,
    REDIS_URL: addresses.redisUrl,
    NATS_URL: addresses.natsUrl,
    DISPATCHER_URL: addresses.dispatcherUrl,
    DATA_DIR: options.config.dataDir,
  };
  return {
    name,
    restart: 'permanent',
    start: (signal) =>
      startActor({ name, args, env, logFile, shutdownGraceMs: options.config.shutdownGraceMs, signal }),
  };
}

function newLogFile(addresses: PlatformAddresses, name: string): string {
  const path = join(addresses.logDirectory, `${name}.log`);
  keepPreviousLog(path);
  return path;
}

/** A port of the user's choice must be free; otherwise one is found, once, so that a restarted dispatcher comes back on it. */
async function chooseDispatcherPort(config: Config, env: Environment): Promise<number> {
  if (config.dispatcherKeys !== undefined) {
    const port = readDispatcherKeys(config.dispatcherKeys)[0]?.port ?? config.dispatcherPort;
    await requireFree('DISPATCHER_PORT', port, config.dispatcherHost);
    return port;
  }
  if (isUnset(env['DISPATCHER_PORT']) || config.dispatcherPort === 0) return freePort();
  await requireFree('DISPATCHER_PORT', config.dispatcherPort, config.dispatcherHost);
  return config.dispatcherPort;
}

async function chooseApiPort(config: Config): Promise<number> {
  if (config.apiPort === 0) return freePort(config.apiHost);
  await requireFree('API_PORT', config.apiPort, config.apiHost);
  return config.apiPort;
}

async function requireFree(variable: string, port: number, host: string): Promise<void> {
  const isFree = await portIsFree(port, host).catch((cause: unknown) => {
    throw new StartError(`Nothing can listen on ${host}: it is not an address of this machine.`, { cause });
  });
  if (isFree) return;
  const other = port < 65_535 ? port + 1 : port - 1;
  throw new StartError(
    `${variable}=${port} is taken on ${host}: stop the program that has it, or choose another port, such as ${variable}=${other}.`,
  );
}

/** Workers would say the same, later and after everything else has started. */
async function requirePython(config: Config, env: Environment): Promise<void> {
  try {
    await promisify(execFile)(config.python, ['-c', 'import dill'], { env, timeout: 30_000 });
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    const problem = missing ? 'there is no such program' : 'it cannot import dill';
    throw new StartError(
      `PYTHON=${config.python} cannot run functions: ${problem}. Run \`make setup\`, or name another.`,
      {
        cause,
      },
    );
  }
}

/** How a client on this machine writes the address of a listener. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

function isUnset(value: string | undefined): boolean {
  return value === undefined || value === '';
}
