import type { SpecActor } from '../support/platform.js';
import { TcpProxy } from '../support/tcpProxy.js';
import type { Scene } from './scene.js';

export interface Behind {
  proxy: TcpProxy;
  actor: SpecActor;
}
const proxies = new WeakMap<Scene, Behind>();

/** One worker more, which reaches its dispatcher through the proxy. */
export async function workerBehindProxy(scene: Scene): Promise<void> {
  const proxy = await TcpProxy.start(Number(new URL(scene.platform.dispatcherUrl).port));
  const actor = await scene.addWorker('worker-behind-proxy', `tcp://127.0.0.1:${proxy.port}`);
  scene.runtimes(actor);
  proxies.set(scene, { proxy, actor });
}

/** The only dispatcher reaches Redis through the proxy; it stands where the first one stood. */
export async function dispatcherBehindProxy(scene: Scene): Promise<void> {
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

export const behind = (scene: Scene): Behind => proxies.get(scene)!;

export async function takeProxyAway(scene: Scene): Promise<void> {
  const found = proxies.get(scene);
  found?.proxy.open();
  // Its peers drain through the proxy, which therefore goes last.
  await found?.actor.stop();
  await found?.proxy.stop();
}
