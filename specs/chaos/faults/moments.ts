import { shardKeys } from '../../../bus/redis/keys.js';
import { eventually } from '../../support/eventually.js';
import type { Trap } from '../../support/tcpProxy.js';
import { behind, dispatcherBehindProxy, takeProxyAway } from '../behindProxy.js';
import type { Fault } from '../fault.js';
import type { Scene } from '../scene.js';
import { atFirstAttempt, stories, type Story } from '../stories.js';

/**
 * The dispatcher dies at an exact moment of a task's way: a proxy between it and Redis holds back the very bytes whose arrival would
 * end that moment.
 */

/** What waits for this lease is late; what does not is back well within it. */
const LEASE = 6_000;
const PLATFORM = { env: { LEASE_MS: String(LEASE) } };
/** From the dispatcher's return; far from the end of a lease, so that what is recovered by a lease stands out. */
const WITHOUT_LEASE_MS = 3_500;
/** As many as there are slots. */
const TASKS = 4;
const TASK_SECONDS = 0.4;
/** Of tasks that run over the dispatcher's death. */
const LONG_SECONDS = 2.5;
/** Of all that a dispatcher says to Redis only a settlement names the place of what tasks print. */
const SETTLEMENT = shardKeys(0).outputPrefix;

const count = (all: readonly Story[], status: string): number => all.filter((story) => story.status === status).length;

/** The scripts are in Redis, and the workers have the function: each step that follows is one request and one reply. */
async function prepare(scene: Scene): Promise<void> {
  await dispatcherBehindProxy(scene);
  await scene.load.submit(TASKS, 0.01);
  await scene.moreCompleted(TASKS);
}

async function sprung(scene: Scene, trap: Trap): Promise<void> {
  await eventually('the moment has come', () => behind(scene).proxy.isPaused(trap.pauses));
}

async function killAndRestart(scene: Scene): Promise<void> {
  const { proxy, actor } = behind(scene);
  await actor.kill('SIGKILL');
  proxy.open();
  await actor.restart();
}

const COMMON = { platform: PLATFORM, ownLoad: true, startsOnce: true, prepare, cleanUp: takeProxyAway } as const;

export const MOMENT_FAULTS: Fault[] = [
  {
    ...COMMON,
    name: 'dispatcher SIGKILL between claim and send',
    // Nobody knows of the claim but Redis: its lease, reap, claim.
    recoveryMs: LEASE + 2_000,
    inject: async (scene) => {
      await scene.load.submit(TASKS / 2, LONG_SECONDS);
      await eventually('half of the slots are taken', () => scene.starts().length === TASKS + TASKS / 2);
      const trap: Trap = { text: scene.load.functions.good, seenIn: 'replies', pauses: 'replies' };
      behind(scene).proxy.pauseAt(trap);
      await scene.load.submit(TASKS / 2, TASK_SECONDS);
      await sprung(scene, trap);
      await eventually('all are claimed', async () => count(await stories(scene), 'RUNNING') === TASKS);
      if (scene.starts().length !== TASKS + TASKS / 2) throw new Error('what was claimed had been sent already');
      await killAndRestart(scene);
    },
    verify: async (scene) => {
      const last = (await stories(scene)).slice(TASKS);
      const attempts = last.map((story) => story.attempts);
      // Those that ran were adopted; those that were claimed alone were claimed once more, and the first claim was counted.
      const expected = [...Array<number>(TASKS / 2).fill(1), ...Array<number>(TASKS / 2).fill(2)];
      return String(attempts) === String(expected) ? [] : [`attempts ${String(attempts)}, not ${String(expected)}`];
    },
  },
  {
    ...COMMON,
    name: 'dispatcher SIGKILL after a result, before its settlement',
    recoveryMs: WITHOUT_LEASE_MS,
    inject: async (scene) => {
      const trap: Trap = { text: SETTLEMENT, seenIn: 'requests', pauses: 'requests' };
      behind(scene).proxy.pauseAt(trap);
      await scene.load.submit(TASKS, TASK_SECONDS);
      await sprung(scene, trap);
      if (count(await stories(scene), 'COMPLETED') !== TASKS) throw new Error('a settlement had reached Redis already');
      await killAndRestart(scene);
    },
    verify: atFirstAttempt,
  },
  {
    ...COMMON,
    name: 'dispatcher SIGKILL after settlement, before its acknowledgement',
    recoveryMs: WITHOUT_LEASE_MS,
    inject: async (scene) => {
      const trap: Trap = { text: SETTLEMENT, seenIn: 'requests', pauses: 'replies' };
      behind(scene).proxy.pauseAt(trap);
      await scene.load.submit(TASKS, TASK_SECONDS);
      await sprung(scene, trap);
      await eventually('Redis has settled', async () => count(await stories(scene), 'COMPLETED') > TASKS);
      await killAndRestart(scene);
    },
    verify: async (scene, row) => [
      ...(await atFirstAttempt(scene)),
      // The worker still had what was settled, and was told that it is decided.
      ...(row.stale + row.duplicate > 0 ? [] : ['no worker held what had been settled']),
    ],
  },
];
