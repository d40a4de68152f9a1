import { setTimeout as sleep } from 'node:timers/promises';
import type { SpecActor } from '../../support/platform.js';
import { TcpProxy } from '../../support/tcpProxy.js';
import type { Fault } from '../fault.js';
import type { Scene } from '../scene.js';
import { LEASE_MS } from '../settings.js';

/** Past the lease, and past the time after which either side gives up on the other. */
const AWAY_MS = LEASE_MS + 2_000;
const DELAY_MS = 150;

interface Behind {
  proxy: TcpProxy;
  actor: SpecActor;
}
const proxies = new WeakMap<Scene, Behind>();

/** One worker more, which reaches its dispatcher through the proxy. */
async function workerBehindProxy(scene: Scene): Promise<void> {
  const proxy = await TcpProxy.start(Number(new URL(scene.platform.dispatcherUrl).port));
  const actor = await scene.addWorker('worker-behind-proxy', `tcp://127.0.0.1:${proxy.port}`);
  scene.runtimes(actor);
  proxies.set(scene, { proxy, actor });
}

/** The only dispatcher reaches Redis through the proxy; it stands where the first one stood. */
async function dispatcherBehindProxy(scene: Scene): Promise<void> {
  const { platform } = scene;
  const proxy = await TcpProxy.start(platform.redis.port);
  await platform.dispatcher.stop();
  const port = new URL(platform.dispatcherUrl).port;
  const actor = await scene.addDispatcher('dispatcher-behind-proxy', {
    env: { REDIS_URL: `redis://127.0.0.1:${proxy.port}` },
    port,
  });
  proxies.set(scene, { proxy, actor });
}

const behind = (scene: Scene): Behind => proxies.get(scene)!;

async function cleanUp(scene: Scene): Promise<void> {
  const found = proxies.get(scene);
  found?.proxy.open();
  // Its peers drain through the proxy, which therefore goes last.
  await found?.actor.stop();
  await found?.proxy.stop();
}

async function halfOpen(scene: Scene): Promise<void> {
  const { proxy } = behind(scene);
  proxy.silence();
  await sleep(AWAY_MS);
  proxy.open();
}

async function cut(scene: Scene): Promise<void> {
  const { proxy } = behind(scene);
  proxy.cut();
  await sleep(AWAY_MS);
  proxy.open();
}

async function delayed(scene: Scene): Promise<void> {
  const { proxy } = behind(scene);
  proxy.delayMs = DELAY_MS;
  await sleep(AWAY_MS);
  proxy.delayMs = 0;
}

export const NETWORK_FAULTS: Fault[] = [
  { name: 'worker half-open past the lease', prepare: workerBehindProxy, inject: halfOpen, cleanUp },
  { name: 'worker cut off past the lease', prepare: workerBehindProxy, inject: cut, cleanUp },
  { name: `worker ${DELAY_MS} ms away`, startsOnce: true, prepare: workerBehindProxy, inject: delayed, cleanUp },
  { name: 'dispatcher and Redis half-open past the lease', prepare: dispatcherBehindProxy, inject: halfOpen, cleanUp },
  { name: 'dispatcher and Redis cut off past the lease', prepare: dispatcherBehindProxy, inject: cut, cleanUp },
  {
    name: `dispatcher ${DELAY_MS} ms from Redis`,
    startsOnce: true,
    prepare: dispatcherBehindProxy,
    inject: delayed,
    cleanUp,
  },
];
