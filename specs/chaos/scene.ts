import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Environment } from '../../bus/config.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/servers.js';
import { type PlatformOptions, type SpecActor, type SpecPlatform, startPlatform } from '../support/platform.js';
import { isAlive, markedProcesses, runtimesOf } from '../support/processTable.js';
import { synced } from '../support/synced.js';
import { type DistantActor, startDistantActor } from './distantActor.js';
import { Load } from './load.js';
import { SETTINGS } from './settings.js';
import { PYTHON } from '../support/python.js';
import { Workload } from './workload.js';

/** In the environment of everything that a scene starts. */
const MARK = 'MPCSFAAS_CHAOS_RUN';
const ENDING_MS = 3_000;

export interface Start {
  number: number;
  pid: number;
}

/** A platform under load, for one fault. */
export class Scene {
  readonly dispatchers: SpecActor[];
  private readonly supervisors = new Set<number>();
  private readonly distant: DistantActor[] = [];
  /** Of distant actors that have stopped. */
  private distantLogs = '';

  private constructor(
    readonly platform: SpecPlatform,
    readonly load: Load,
    private readonly workload: Workload,
    private readonly directory: string,
    private readonly mark: string,
    private readonly environment: Environment,
  ) {
    this.dispatchers = [platform.dispatcher];
  }

  static async open(options: PlatformOptions, taskScale = 1): Promise<Scene> {
    const run = randomUUID();
    // In the environment of all that descends from this process from now on: servers, actors, Pythons.
    process.env[MARK] = run;
    const directory = mkdtempSync(join(tmpdir(), 'chaos-'));
    const workload = new Workload();
    try {
      const env = { ...SETTINGS, ...options.env };
      const platform = await startPlatform({ workers: 2, slots: 2, ...options, env });
      const journal = join(directory, 'journal');
      const functions = {
        good: await register(platform, await workload.goodFunction(journal)),
        poison: await register(platform, await workload.poisonFunction(journal)),
      };
      const actorEnvironment: Environment = {
        ...{ ...process.env, LOG_FORMAT: 'json', PYTHON, ...env },
        ...{ REDIS_URL: platform.redis.url, NATS_URL: platform.nats.url },
      };
      const load = new Load(platform, workload, functions, taskScale);
      return new Scene(platform, load, workload, directory, `${MARK}=${run}`, actorEnvironment);
    } catch (error) {
      await workload.stop();
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Every start of a task, in order, as the task itself noted it. */
  starts(): Start[] {
    try {
      const lines = readFileSync(join(this.directory, 'journal'), 'utf8').trim().split('\n');
      return lines.map((line) => {
        const [number, pid] = line.split(' ').map(Number);
        return { number: number!, pid: pid! };
      });
    } catch {
      return []; // Nothing has started yet.
    }
  }

  /** When the run that each result comes from had started; 0 for a wrong result. */
  started(results: readonly (readonly [number, string])[]): Promise<number[]> {
    return this.workload.started(results);
  }

  /** Waits until so many more tasks have completed: the platform is at work. */
  async moreCompleted(count: number, withinMs = 30_000): Promise<void> {
    const until = this.load.completed + count;
    await eventually(`${count} more tasks have completed`, () => this.load.completed >= until, withinMs);
  }

  /** Waits until every slot of the worker has a task. */
  async slotsFull(worker: SpecActor): Promise<void> {
    await eventually(`${worker.name} is busy`, async () => {
      const { body } = await this.platform.call('GET', '/workers');
      const { workers } = body as { workers: { pid: number; slots: number; running: number }[] };
      return workers.some(({ pid, slots, running }) => pid === worker.pid && running >= slots);
    });
  }

  /** The Python processes of a worker; remembered, so that orphans are found. */
  runtimes(worker: SpecActor): number[] {
    this.supervisors.add(worker.pid);
    return runtimesOf(worker.pid);
  }

  /** One more dispatcher, on a port of its own unless one is given; those who run learn of it by its heartbeats. */
  async addDispatcher(name: string, options: { port?: string; env?: Environment } = {}): Promise<SpecActor> {
    const port = options.port ?? String(await freePort());
    const dispatcher = await this.platform.addActor(name, ['dispatcher', '-m', 'push', '-p', port], options.env);
    this.dispatchers.push(dispatcher);
    return dispatcher;
  }

  /** A worker that finds its dispatcher elsewhere, such as behind a proxy. */
  addWorker(name: string, url: string, more: readonly string[] = []): Promise<SpecActor> {
    return this.platform.addActor(name, ['push_worker', '2', url, ...more]);
  }

  /** Starts an actor in a network namespace, with this platform's variables. */
  async startIn(namespace: string, name: string, args: readonly string[], env: Environment = {}): Promise<void> {
    const actor = await startDistantActor(namespace, name, args, { ...this.environment, ...env });
    this.supervisors.add(actor.pid);
    this.distant.push(actor);
  }

  /** Workers first: they started last. */
  async stopDistant(): Promise<void> {
    for (const actor of this.distant.splice(0).reverse()) {
      this.distantLogs += actor.log();
      await actor.stop();
    }
  }

  /** Speaks to Redis itself. */
  async redis<Answer>(speak: (redis: Redis) => Promise<Answer>): Promise<Answer> {
    const redis = new Redis(this.platform.redis.url, { maxRetriesPerRequest: 1 });
    redis.on('error', () => undefined);
    try {
      return await speak(redis);
    } finally {
      redis.disconnect();
    }
  }

  /** By SIGKILL. All that it has answered is there when it comes back: where syncs are slow, that is more than `everysec` promises. */
  async killRedis(): Promise<void> {
    await this.redis(synced);
    await this.platform.redis.kill('SIGKILL');
  }

  /** Python processes whose supervisor is dead. */
  orphans(): number[] {
    const dead = [...this.supervisors].filter((pid) => !isAlive(pid));
    return dead.flatMap((pid) => runtimesOf(pid));
  }

  /** JSON lines of all dispatchers. */
  dispatcherLogs(): string {
    const logs = [...this.dispatchers, ...this.distant].map((actor) => actor.log());
    return logs.join('') + this.distantLogs;
  }

  /** Stops everything. Returns the processes that were left, which are killed. */
  async close(): Promise<number[]> {
    process.env[MARK] = '';
    await this.load.stop();
    await this.workload.stop();
    await this.platform.stop();
    const deadlineMs = performance.now() + ENDING_MS;
    while (markedProcesses(this.mark).length > 0 && performance.now() < deadlineMs) await sleep(50);
    const left = markedProcesses(this.mark);
    for (const pid of left) process.kill(pid, 'SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
    return left;
  }
}

async function register(platform: SpecPlatform, payload: string): Promise<string> {
  const { body } = await platform.call('POST', '/register_function', { name: 'work', payload });
  return (body as { function_id: string }).function_id;
}
