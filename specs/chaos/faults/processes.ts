import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../support/eventually.js';
import { noteSignal } from '../../support/frozen.js';
import { isAlive, runtimesOf } from '../../support/processTable.js';
import type { Fault } from '../fault.js';
import type { Scene } from '../scene.js';
import { LEASE_MS } from '../settings.js';

/** Ends of Python processes, supervisors, APIs and monitors. */

/** Python processes go with their supervisor, however it went. */
const ORPHAN_MS = 2_000;
/** Long enough for the lease to run out and the task to be taken away. */
const PAST_LEASE_MS = LEASE_MS + 1_500;

async function signalRuntimes(scene: Scene, signals: readonly NodeJS.Signals[]): Promise<void> {
  for (const signal of signals) {
    for (const worker of scene.platform.workers) {
      const pid = scene.runtimes(worker)[0];
      if (pid !== undefined) process.kill(pid, signal);
      await sleep(100);
    }
  }
}

/** Stops a process, and lets it run again after a while. */
async function freeze(pid: number, forMs: number): Promise<void> {
  noteSignal(pid, 'SIGSTOP');
  process.kill(pid, 'SIGSTOP');
  await sleep(forMs);
  noteSignal(pid, 'SIGCONT');
  if (isAlive(pid)) process.kill(pid, 'SIGCONT');
}

const runsOneOf = (supervisor: number, scene: Scene): boolean =>
  runtimesOf(supervisor).some((pid) => scene.starts().some((start) => start.pid === pid));

async function killSupervisor(scene: Scene): Promise<void> {
  const worker = scene.platform.workers[0]!;
  await scene.slotsFull(worker);
  const runtimes = scene.runtimes(worker);
  await worker.kill('SIGKILL');
  await eventually('its Python processes are gone', () => !runtimes.some(isAlive), ORPHAN_MS);
}

export const PROCESS_FAULTS: Fault[] = [
  {
    name: 'python SIGKILL',
    recoveryMs: 3_000,
    inject: (scene) => signalRuntimes(scene, ['SIGKILL', 'SIGKILL', 'SIGKILL']),
  },
  { name: 'python SIGTERM', recoveryMs: 3_000, inject: (scene) => signalRuntimes(scene, ['SIGTERM', 'SIGTERM']) },
  {
    name: 'python SIGSTOP, CONT',
    recoveryMs: 3_000,
    startsOnce: true,
    inject: async (scene) => {
      const pid = scene.runtimes(scene.platform.workers[0]!)[0]!;
      await freeze(pid, PAST_LEASE_MS);
    },
  },
  { name: 'worker SIGKILL, full slots', inject: killSupervisor },
  {
    name: 'worker SIGKILL in pull mode',
    platform: { mode: 'pull' },
    inject: killSupervisor,
  },
  {
    name: 'worker SIGTERM, full slots',
    startsOnce: true,
    inject: async (scene) => {
      const worker = scene.platform.workers[0]!;
      await scene.slotsFull(worker);
      await worker.kill('SIGTERM');
    },
  },
  {
    name: 'worker SIGSTOP past its lease, CONT',
    taskScale: 3,
    inject: async (scene) => {
      const worker = scene.platform.workers[0]!;
      await scene.slotsFull(worker);
      await freeze(worker.pid, PAST_LEASE_MS);
    },
  },
  {
    // Its Pythons were not stopped and go on with tasks that run a second time elsewhere: these it must end, unheard.
    name: 'worker SIGSTOP, CONT during the second run',
    platform: { workers: 3 },
    ownLoad: true,
    // The whole second run comes after it.
    recoveryMs: 15_000,
    inject: async (scene) => {
      await scene.load.submit(4, 8);
      await eventually('all have started', () => scene.starts().length === 4);
      const worker = scene.platform.workers.find(({ pid }) => runsOneOf(pid, scene))!;
      const own = runtimesOf(worker.pid).filter((pid) => scene.starts().some((start) => start.pid === pid));
      await freeze(worker.pid, 3_000);
      // Before the tasks end by themselves, which leaves their processes alive.
      await eventually('it has ended what was no longer its own', () => !own.some(isAlive), 4_000);
    },
  },
  {
    name: 'all workers SIGKILL, one comes',
    inject: async (scene) => {
      await Promise.all(scene.platform.workers.map((worker) => worker.kill('SIGKILL')));
      await sleep(500);
      await scene.platform.workers[0]!.restart();
    },
  },
  {
    name: 'workers of the same name',
    inject: async (scene) => {
      const { dispatcherUrl } = scene.platform;
      const [twin, other] = await Promise.all(
        ['twin-a', 'twin-b'].map((name) => scene.addWorker(name, dispatcherUrl, ['--name', 'twin'])),
      );
      await scene.slotsFull(twin!);
      await scene.slotsFull(other!);
      await twin!.kill('SIGKILL');
    },
  },
  {
    name: 'a poison task amid good ones',
    startsOnce: true,
    recoveryMs: 3_000,
    inject: async (scene) => {
      for (let count = 0; count < 5; count++) await scene.load.submit(1, 0, 'poison');
      await scene.moreCompleted(30);
    },
  },
  {
    name: 'API SIGKILL mid-submit',
    startsOnce: true,
    recoveryMs: 3_000,
    inject: async (scene) => {
      const submitted = scene.load.submitMany(600, 20, 8, 0.005);
      await sleep(60);
      await scene.platform.api.kill('SIGKILL');
      await scene.platform.api.restart();
      await submitted;
    },
  },
  {
    name: 'API SIGTERM mid-submit',
    startsOnce: true,
    recoveryMs: 3_000,
    inject: async (scene) => {
      const submitted = scene.load.submitMany(600, 20, 8, 0.005);
      await sleep(60);
      await scene.platform.api.kill('SIGTERM');
      await scene.platform.api.restart();
      await submitted;
    },
  },
  {
    name: 'monitor SIGKILL, then worker SIGKILL',
    inject: async (scene) => {
      await scene.platform.monitor.kill('SIGKILL');
      await killSupervisor(scene);
      await sleep(500);
      await scene.platform.monitor.restart();
    },
  },
  {
    name: 'two monitors, worker SIGKILL',
    prepare: async (scene) => {
      await scene.platform.addActor('monitor-2', ['monitor']);
    },
    inject: killSupervisor,
  },
  {
    name: 'monitor SIGSTOP, CONT',
    startsOnce: true,
    recoveryMs: 3_000,
    inject: (scene) => freeze(scene.platform.monitor.pid, PAST_LEASE_MS),
  },
  {
    name: 'NATS SIGKILL',
    startsOnce: true,
    recoveryMs: 3_000,
    inject: async (scene) => {
      await scene.platform.nats.kill('SIGKILL');
      await scene.moreCompleted(40);
      await scene.platform.nats.restart();
    },
  },
  {
    name: 'NATS SIGSTOP, CONT',
    startsOnce: true,
    recoveryMs: 3_000,
    inject: (scene) => freeze(scene.platform.nats.pid, PAST_LEASE_MS),
  },
];
