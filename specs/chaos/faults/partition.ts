import { execFileSync } from 'node:child_process';
import { userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../fault.js';
import type { Scene } from '../scene.js';
import { LEASE_MS } from '../settings.js';

/** Network namespaces: two machines with a cable between them, which is pulled. */

const AWAY_MS = LEASE_MS + 2_000;
/** Of the networks that RFC 2544 keeps for tests; looked for first, since an address that is in use would cut the machine off. */
const NETWORK = '198.18.';
const HERE = `${NETWORK}${process.pid % 250}.1`;
const THERE = `${NETWORK}${process.pid % 250}.2`;
const CABLE = `mf${process.pid % 100_000}`;
const NAMESPACE = `mpcsfaas-${process.pid}`;

const ip = (...words: string[]): void => void execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });

function unavailable(): string | undefined {
  if (process.platform !== 'linux' || userInfo().uid !== 0) return 'network namespaces need Linux and root';
  try {
    if (execFileSync('ip', ['addr'], { encoding: 'utf8' }).includes(NETWORK)) return `${NETWORK}0.0/15 is in use here`;
    ip('netns', 'add', `${NAMESPACE}-probe`);
    ip('netns', 'del', `${NAMESPACE}-probe`);
    return undefined;
  } catch (error) {
    return `no network namespaces here: ${String((error as { stderr?: Buffer }).stderr ?? error).trim()}`;
  }
}

function layCable(): void {
  ip('netns', 'add', NAMESPACE);
  ip('link', 'add', `${CABLE}a`, 'type', 'veth', 'peer', 'name', `${CABLE}b`);
  ip('link', 'set', `${CABLE}b`, 'netns', NAMESPACE);
  ip('addr', 'add', `${HERE}/30`, 'dev', `${CABLE}a`);
  ip('link', 'set', `${CABLE}a`, 'up');
  ip('-n', NAMESPACE, 'addr', 'add', `${THERE}/30`, 'dev', `${CABLE}b`);
  ip('-n', NAMESPACE, 'link', 'set', `${CABLE}b`, 'up');
  ip('-n', NAMESPACE, 'link', 'set', 'lo', 'up');
}

/** The worker's machine: a worker in the namespace, whose dispatcher is here. */
async function distantWorker(scene: Scene): Promise<void> {
  layCable();
  const { platform } = scene;
  const port = new URL(platform.dispatcherUrl).port;
  await platform.dispatcher.stop();
  await scene.addDispatcher('dispatcher-on-cable', { port, env: { DISPATCHER_HOST: '0.0.0.0', INSECURE: '1' } });
  await scene.startIn(NAMESPACE, 'distant-worker', ['push_worker', '2', `tcp://${HERE}:${port}`], {
    INSECURE: '1',
  });
}

/** The dispatcher's machine: with its workers, away from Redis and NATS. */
async function distantDispatcher(scene: Scene): Promise<void> {
  layCable();
  const { platform } = scene;
  await scene.redis((redis) => redis.config('SET', 'bind', `127.0.0.1 ${HERE}`));
  await scene.redis((redis) => redis.config('SET', 'protected-mode', 'no'));
  await platform.dispatcher.stop();
  await Promise.all(platform.workers.map((worker) => worker.stop()));
  const env = { REDIS_URL: `redis://${HERE}:${platform.redis.port}` };
  const port = new URL(platform.dispatcherUrl).port;
  await scene.startIn(NAMESPACE, 'distant-dispatcher', ['dispatcher', '-m', 'push', '-p', port], env);
  for (const name of ['distant-worker-1', 'distant-worker-2']) {
    await scene.startIn(NAMESPACE, name, ['push_worker', '2', `tcp://127.0.0.1:${port}`]);
  }
}

async function pullCable(): Promise<void> {
  ip('link', 'set', `${CABLE}a`, 'down');
  await sleep(AWAY_MS);
  ip('link', 'set', `${CABLE}a`, 'up');
}

async function cleanUp(scene: Scene): Promise<void> {
  await scene.stopDistant();
  ip('link', 'del', `${CABLE}a`);
  ip('netns', 'del', NAMESPACE);
}

export const PARTITION_FAULTS: Fault[] = [
  {
    name: 'partition of a worker from the dispatcher',
    unavailable,
    prepare: distantWorker,
    inject: pullCable,
    cleanUp,
  },
  {
    name: 'partition of the dispatcher from Redis and NATS',
    unavailable,
    prepare: distantDispatcher,
    inject: pullCable,
    recoveryMs: 10_000,
    cleanUp,
  },
];
