import { setTimeout as sleep } from 'node:timers/promises';
import { behind, dispatcherBehindProxy, takeProxyAway as cleanUp, workerBehindProxy } from '../behindProxy.js';
import type { Fault } from '../fault.js';
import type { Scene } from '../scene.js';
import { LEASE_MS } from '../settings.js';

/** Past the lease, and past the time after which either side gives up on the other. */
const AWAY_MS = LEASE_MS + 2_000;
const DELAY_MS = 150;

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
