import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '../support/processTable.js';
import type { Fault } from './fault.js';
import type { Scene } from './scene.js';

export interface KillerOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly onAction?: (words: string) => void;
}

/** How long something stays dead or stopped, and how long the platform is left alone between two blows. */
const AWAY_MS = [50, 4_500] as const;
const PEACE_MS = [100, 2_500] as const;

interface Target {
  kill(signal: NodeJS.Signals): Promise<void>;
  restart(): Promise<void>;
  readonly running?: boolean;
}

type Manner = 'SIGKILL' | 'SIGTERM' | 'SIGSTOP';

/** Random numbers that a seed repeats: mulberry32, by Tommy Ettinger, public domain. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Kills, terminates and stops whatever it likes, several at a time, at sustained load. Three workers, two dispatchers, two
 * monitors. A seed decides what is done to whom, when and for how long; what the platform was doing then it cannot decide.
 */
export function randomKiller({ seed, minutes, onAction }: KillerOptions): Fault {
  return {
    name: `random faults, seed ${seed}, ${Math.round(minutes * 60)} s`,
    platform: { workers: 3 },
    recoveryMs: 20_000,
    prepare: async (scene) => {
      await scene.addDispatcher('dispatcher-2');
      await scene.platform.addActor('monitor-2', ['monitor']);
    },
    inject: async (scene) => {
      const random = seededRandom(seed);
      const between = ([least, most]: readonly [number, number]): number => least + random() * (most - least);
      const targets = targetsOf(scene);
      const names = Object.keys(targets);
      const struck = new Map<string, Promise<void>>();
      // What did not come up again stays down, and the row says why.
      const failures: unknown[] = [];
      const endMs = performance.now() + minutes * 60_000;
      while (performance.now() < endMs) {
        // All is drawn before anything is looked at: the same seed gives the same sequence.
        const [name, manner] = [names[Math.floor(random() * names.length)]!, drawManner(random())];
        const [awayMs, peaceMs] = [between(AWAY_MS), between(PEACE_MS)];
        if (!struck.has(name)) {
          onAction?.(`${name} ${manner} for ${Math.round(awayMs)} ms`);
          const blow = strike(targets[name]!, manner, awayMs).then(
            () => void struck.delete(name),
            (error: unknown) => void failures.push(error),
          );
          struck.set(name, blow);
        }
        await sleep(peaceMs);
      }
      await Promise.all(struck.values());
      if (failures.length > 0) throw failures[0];
    },
  };
}

function drawManner(random: number): Manner {
  if (random < 0.6) return 'SIGKILL';
  return random < 0.8 ? 'SIGSTOP' : 'SIGTERM';
}

async function strike(target: Target, manner: Manner, awayMs: number): Promise<void> {
  await target.kill(manner);
  await sleep(awayMs);
  if (manner === 'SIGSTOP') await target.kill('SIGCONT');
  else await target.restart();
}

function targetsOf(scene: Scene): Record<string, Target> {
  const { api, redis, nats, workers, monitor } = scene.platform;
  const python: Target = {
    kill: (signal) => {
      const pid = workers.flatMap((worker) => scene.runtimes(worker))[0];
      if (pid !== undefined && isAlive(pid)) process.kill(pid, signal === 'SIGSTOP' ? 'SIGKILL' : signal);
      return Promise.resolve();
    },
    restart: () => Promise.resolve(),
  };
  const killedRedis: Target = {
    kill: (signal) => (signal === 'SIGKILL' ? scene.killRedis() : redis.kill(signal)),
    restart: () => redis.restart(),
  };
  const [worker1, worker2, worker3] = workers;
  const [dispatcher1, dispatcher2] = scene.dispatchers;
  return {
    ...{ api, redis: killedRedis, nats, monitor, python },
    ...{
      worker1: worker1!,
      worker2: worker2!,
      worker3: worker3!,
      dispatcher1: dispatcher1!,
      dispatcher2: dispatcher2!,
    },
  };
}
