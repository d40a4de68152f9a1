import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../support/eventually.js';
import type { Fault } from '../fault.js';
import type { Scene } from '../scene.js';
import { LEASE_MS } from '../settings.js';

/** Time for a dispatcher to be started and its workers to come back, well within the lease, on a busy machine. */
const LONG_LEASE = { env: { LEASE_MS: '10000' } };
/** Longer than the lease of that fault. */
const OUTLASTING_SECONDS = 8;
/** More than four heartbeats. */
const STOPPED_MS = 4_000;
const KILLS = 4;

async function restartDispatcher(scene: Scene, signal: NodeJS.Signals, afterMs: number): Promise<void> {
  await scene.platform.dispatcher.kill(signal);
  await sleep(afterMs);
  await scene.platform.dispatcher.restart();
}

/** Waits until the workers know of the second dispatcher: the first tells them in its answer to a heartbeat. */
async function joinSecond(scene: Scene): Promise<void> {
  await scene.addDispatcher('dispatcher-2');
  await sleep(2_500);
}

export const DISPATCHER_FAULTS: Fault[] = [
  {
    // Some tasks outlast the lease that the dead one gave them: without adoption they would be taken away.
    name: 'dispatcher SIGKILL, back within the lease',
    platform: { env: { LEASE_MS: '6000' } },
    startsOnce: true,
    recoveryMs: 12_000,
    inject: async (scene) => {
      const before = new Set(scene.load.accepted);
      await scene.load.submit(2, OUTLASTING_SECONDS);
      const own = scene.load.accepted.filter((task) => !before.has(task) && task.seconds === OUTLASTING_SECONDS);
      await eventually('they have started', () => {
        const started = new Set(scene.starts().map(({ number }) => number));
        return own.every(({ number }) => started.has(number));
      });
      await restartDispatcher(scene, 'SIGKILL', 0);
    },
  },
  {
    // Many deaths at any moment: between claim and send, result and settle, settle and acknowledgement.
    name: `dispatcher SIGKILL ${KILLS} times, short tasks`,
    platform: LONG_LEASE,
    taskScale: 0.1,
    startsOnce: true,
    recoveryMs: 12_000,
    inject: async (scene) => {
      for (let kill = 0; kill < KILLS; kill++) {
        await restartDispatcher(scene, 'SIGKILL', 0);
        await scene.moreCompleted(20 + 13 * kill);
      }
    },
  },
  {
    name: 'dispatcher SIGKILL in pull mode',
    platform: { ...LONG_LEASE, mode: 'pull' },
    startsOnce: true,
    recoveryMs: 12_000,
    inject: (scene) => restartDispatcher(scene, 'SIGKILL', 0),
  },
  {
    name: 'dispatcher SIGKILL in local mode',
    platform: { mode: 'local' },
    inject: (scene) => restartDispatcher(scene, 'SIGKILL', 0),
  },
  {
    name: 'dispatcher SIGKILL, back after the lease',
    taskScale: 3,
    inject: (scene) => restartDispatcher(scene, 'SIGKILL', LEASE_MS + 1_500),
  },
  {
    name: 'dispatcher SIGTERM and restart',
    startsOnce: true,
    inject: (scene) => restartDispatcher(scene, 'SIGTERM', 0),
  },
  {
    name: 'dispatcher SIGSTOP past the lease, CONT',
    inject: async (scene) => {
      await scene.platform.dispatcher.kill('SIGSTOP');
      await sleep(LEASE_MS + 1_500);
      await scene.platform.dispatcher.kill('SIGCONT');
    },
  },
  {
    // The times of a platform as it is shipped.
    name: 'one of two dispatchers SIGKILL',
    platform: { env: { LEASE_MS: '15000', HEARTBEAT_MS: '1000' } },
    startsOnce: true,
    recoveryMs: 17_000,
    prepare: joinSecond,
    inject: async (scene) => {
      await scene.platform.dispatcher.kill('SIGKILL');
      const before = scene.load.completed;
      // What the dead one had claimed and not sent is hidden until its lease ends; all else goes on.
      await eventually('throughput is back', () => scene.load.completed >= before + 40, 5_000);
    },
  },
  {
    // Past the time after which its workers go over to the other one, and within the lease.
    name: 'one of two dispatchers SIGSTOP, CONT, its workers gone over',
    platform: { env: { LEASE_MS: '15000' } },
    startsOnce: true,
    recoveryMs: 17_000,
    prepare: joinSecond,
    inject: async (scene) => {
      await scene.load.submit(4, OUTLASTING_SECONDS);
      await sleep(500);
      await scene.platform.dispatcher.kill('SIGSTOP');
      await sleep(STOPPED_MS);
      await scene.platform.dispatcher.kill('SIGCONT');
      await scene.moreCompleted(20);
    },
  },
  {
    name: 'one of two dispatchers SIGTERM',
    startsOnce: true,
    prepare: joinSecond,
    inject: async (scene) => {
      await scene.platform.dispatcher.kill('SIGTERM');
      await scene.moreCompleted(40);
    },
  },
];
