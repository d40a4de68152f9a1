import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../support/eventually.js';
import type { SpecActor } from '../../support/platform.js';
import { freePort } from '../../support/servers.js';
import type { Fault } from '../fault.js';
import type { Caller } from '../load.js';
import type { Scene } from '../scene.js';
import { LEASE_MS } from '../settings.js';

/** Several monitors, several APIs: one is enough. */

const secondMonitors = new WeakMap<Scene, SpecActor>();
const otherApis = new WeakMap<Scene, Caller>();
/** Longest answer of an API while the other one dies, on a busy machine. */
const ANSWER_MS = 1_500;
const SHORT_SECONDS = 0.01;
/** How long the first API stays away. */
const AWAY_MS = 500;

async function addApi(scene: Scene): Promise<void> {
  const port = String(await freePort());
  await scene.platform.addActor('api-2', ['api'], { API_PORT: port });
  otherApis.set(scene, async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { connection: 'close', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  });
}

/** A client of one API waits for tasks, wherever they were submitted. @throws when one has not completed. */
async function awaitAt(api: Caller, taskIds: readonly string[]): Promise<void> {
  const { status, body } = await api('POST', '/results', { task_ids: taskIds, wait: 10 });
  const { results } = body as { results: { status: string }[] };
  if (status !== 200 || results.length !== taskIds.length || results.some((result) => result.status !== 'COMPLETED'))
    throw new Error(`tasks of the other API were not awaited: ${JSON.stringify(body)}`);
}

/** Clients of one API, until told to stop. Each call must be answered, and soon. */
async function keepSubmitting(scene: Scene, api: Caller, goesOn: () => boolean): Promise<void> {
  while (goesOn()) {
    const sentMs = performance.now();
    if ((await scene.load.submit(5, SHORT_SECONDS, 'good', api)) === 0)
      throw new Error('the living API did not accept');
    const tookMs = performance.now() - sentMs;
    if (tookMs > ANSWER_MS) throw new Error(`the living API took ${Math.round(tookMs)} ms`);
    await sleep(20);
  }
}

/** Submits one task at one API and waits for it at the other. */
async function across(scene: Scene, from: Caller, to: Caller): Promise<void> {
  const { accepted } = scene.load;
  const known = new Set(accepted);
  await scene.load.submit(1, 0.1, 'good', from);
  const own = accepted.filter((task) => !known.has(task)).map(({ id }) => id);
  if (own.length !== 1) throw new Error('the task was not accepted');
  await awaitAt(to, own);
}

async function killOneApi(scene: Scene): Promise<void> {
  const { platform, load } = scene;
  const other = otherApis.get(scene)!;
  let over = false;
  const atOther = keepSubmitting(scene, other, () => !over);
  const atFirst = load.submitMany(600, 20, 8, SHORT_SECONDS);
  try {
    await eventually('submissions are under way', () => load.accepted.length > 100);
    await platform.api.kill('SIGKILL');
    // All that clients of the dead one were promised can be had from the other.
    const promised = load.accepted.map(({ id }) => id);
    await Promise.all([awaitAt(other, promised), sleep(AWAY_MS)]);
    await platform.api.restart();
    await atFirst;
  } finally {
    over = true;
    await atOther;
  }
  await across(scene, other, load.api);
  await across(scene, load.api, other);
}

/** What the dead worker had is nobody's once its dispatcher is dead too: only a monitor brings it back, when the lease is over. */
async function killMonitorWorkerAndDispatcher(scene: Scene): Promise<void> {
  const { monitor, dispatcher, workers } = scene.platform;
  const worker = workers[0]!;
  await scene.slotsFull(worker);
  await Promise.all([dispatcher.kill('SIGKILL'), worker.kill('SIGKILL')]);
  // The monitors reap side by side until one of them dies.
  await sleep(LEASE_MS / 2);
  await monitor.kill('SIGKILL');
  await dispatcher.restart();
}

/** The living monitor took over, and no attempt was taken away by both. */
async function reapedOnce(scene: Scene): Promise<string[]> {
  const second = reapedBy(secondMonitors.get(scene)!);
  const both = [...reapedBy(scene.platform.monitor), ...second];
  return Promise.resolve([
    ...(second.length === 0 ? ['the second monitor reaped nothing'] : []),
    ...(new Set(both).size < both.length ? ['an attempt was reaped twice'] : []),
  ]);
}

/** Attempts whose lease ran out, as the monitor has logged them. */
function reapedBy(monitor: SpecActor): string[] {
  const lines = monitor.log().split('\n');
  return lines
    .filter((line) => line.startsWith('{') && line.includes('"lease expired"'))
    .map((line) => JSON.parse(line) as { id: string; attempt: number })
    .map(({ id, attempt }) => `${id} ${attempt}`);
}

export const REPLICA_FAULTS: Fault[] = [
  {
    name: 'one of two monitors SIGKILL, a dispatcher and a worker too',
    taskScale: 3,
    prepare: async (scene) => {
      secondMonitors.set(scene, await scene.platform.addActor('monitor-2', ['monitor']));
    },
    inject: killMonitorWorkerAndDispatcher,
    verify: reapedOnce,
  },
  {
    name: 'one of two APIs SIGKILL mid-submit',
    ownLoad: true,
    startsOnce: true,
    recoveryMs: 3_000,
    prepare: addApi,
    inject: killOneApi,
  },
];
