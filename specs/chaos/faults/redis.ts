import { appendFileSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FSYNC_POLICIES, type FsyncPolicy } from '../../../bus/config.js';
import { eventually } from '../../support/eventually.js';
import type { Fault } from '../fault.js';
import type { Scene } from '../scene.js';
import { LEASE_MS } from '../settings.js';
import { atFirstAttempt } from '../stories.js';

const SUBMISSIONS = 5_000;
/** Beyond the time after which a command counts as failed. */
const PAUSE_MS = 6_000;
/** What a crash in the middle of a write leaves behind: a command that never was acknowledged. */
const HALF_A_COMMAND = '*3\r\n$3\r\nSET\r\n$7\r\nunfin';
const LOST_TAIL_BYTES = 3_000;
/** Redis answers nothing while it loads; nobody is to blame for tasks that run on meanwhile and whose leases end. */
const RESTART_MS = 10_000;

async function configure(scene: Scene, setting: string, value: string): Promise<void> {
  await scene.redis((redis) => redis.config('SET', setting, value));
}

async function killAndRestart(scene: Scene, policy: FsyncPolicy, awayMs = 0, meanwhile?: () => void): Promise<void> {
  await scene.killRedis();
  meanwhile?.();
  await sleep(awayMs);
  await scene.platform.redis.restart();
  await configure(scene, 'appendfsync', policy);
}

/** Redis dies in the middle of many submissions; every id that the client received must be known. */
function submissionFault(policy: FsyncPolicy, awayMs: number, when: string): Fault {
  return {
    name: `Redis SIGKILL amid ${SUBMISSIONS} submissions, fsync ${policy}, back ${when}`,
    ownLoad: true,
    recoveryMs: 40_000,
    prepare: (scene) => configure(scene, 'appendfsync', policy),
    inject: async (scene) => {
      const submitted = scene.load.submitMany(SUBMISSIONS, 20, 8, 0.001);
      await eventually('a third is accepted', () => scene.load.accepted.length > SUBMISSIONS / 3, 20_000);
      await killAndRestart(scene, policy, awayMs);
      await submitted;
    },
  };
}

async function stopPastTheLease(scene: Scene): Promise<void> {
  await scene.platform.redis.kill('SIGSTOP');
  await sleep(LEASE_MS + 3_000);
  await scene.platform.redis.kill('SIGCONT');
}

/** Redis dies while tasks are claimed, settled and submitted; what it wrote is in the kernel's hands. */
function workFault(policy: FsyncPolicy, awayMs: number, when: string): Fault {
  return {
    name: `Redis SIGKILL at work, fsync ${policy}, back ${when}`,
    startsOnce: true,
    recoveryMs: RESTART_MS,
    prepare: (scene) => configure(scene, 'appendfsync', policy),
    inject: (scene) => killAndRestart(scene, policy, awayMs),
  };
}

/** The file that Redis appends to at present. */
function appendOnlyFile(scene: Scene): string {
  const directory = join(scene.platform.redis.directory, 'appendonlydir');
  const name = readdirSync(directory)
    .filter((file) => file.endsWith('.incr.aof'))
    .sort()
    .at(-1);
  return join(directory, name ?? '');
}

export const REDIS_FAULTS: Fault[] = [
  ...FSYNC_POLICIES.flatMap((policy) => [
    submissionFault(policy, 0, 'within the lease'),
    submissionFault(policy, LEASE_MS + 1_500, 'after the lease'),
    workFault(policy, 0, 'within the lease'),
    workFault(policy, LEASE_MS + 1_500, 'after the lease'),
  ]),
  {
    // Nobody could renew a lease meanwhile; nobody may lose a task for it.
    name: 'Redis SIGKILL, back after the lease, tasks run on',
    ownLoad: true,
    startsOnce: true,
    recoveryMs: RESTART_MS,
    inject: async (scene) => {
      await scene.load.submit(4, 8);
      await eventually('all have started', () => scene.starts().length === 4);
      await killAndRestart(scene, 'everysec', LEASE_MS + 1_500);
    },
  },
  {
    name: 'Redis SIGTERM and restart',
    startsOnce: true,
    recoveryMs: RESTART_MS,
    inject: async (scene) => {
      await scene.platform.redis.kill('SIGTERM');
      await scene.platform.redis.restart();
    },
  },
  {
    name: 'Redis SIGSTOP past the lease, CONT',
    startsOnce: true,
    recoveryMs: RESTART_MS,
    inject: stopPastTheLease,
  },
  {
    // Nor is anybody to blame who could not renew because Redis stood still.
    name: 'Redis SIGSTOP past the lease, CONT, tasks run on',
    ownLoad: true,
    startsOnce: true,
    recoveryMs: RESTART_MS,
    inject: async (scene) => {
      await scene.load.submit(4, 9);
      await eventually('all have started', () => scene.starts().length === 4);
      await stopPastTheLease(scene);
    },
    verify: (scene) => atFirstAttempt(scene),
  },
  {
    name: 'CLIENT PAUSE',
    startsOnce: true,
    recoveryMs: RESTART_MS,
    inject: async (scene) => {
      await scene.redis((redis) => redis.client('PAUSE', PAUSE_MS, 'ALL'));
      await sleep(PAUSE_MS);
    },
  },
  {
    name: 'SCRIPT FLUSH',
    startsOnce: true,
    recoveryMs: 3_000,
    inject: async (scene) => {
      for (let flush = 0; flush < 20; flush++) {
        await scene.redis((redis) => redis.script('FLUSH'));
        await sleep(50);
      }
    },
  },
  {
    name: 'maxmemory with noeviction',
    recoveryMs: RESTART_MS,
    inject: async (scene) => {
      await configure(scene, 'maxmemory', '1mb');
      await sleep(2_000);
      await configure(scene, 'maxmemory', '0');
    },
  },
  {
    name: 'half a command at the end of the append-only file',
    recoveryMs: RESTART_MS,
    prepare: (scene) => configure(scene, 'appendfsync', 'always'),
    inject: (scene) =>
      killAndRestart(scene, 'always', 0, () => {
        appendFileSync(appendOnlyFile(scene), HALF_A_COMMAND);
      }),
  },
  {
    // Settled results and claims are undone, as by the failover to a replica that lags behind. Fences must not be handed out twice.
    name: 'the append-only file loses its tail',
    rollsBack: true,
    recoveryMs: RESTART_MS + LEASE_MS,
    inject: async (scene) => {
      await scene.load.pause();
      // What is cut off are ends and claims, not submissions, which nothing could bring back.
      await scene.load.submit(60, 0.2);
      await scene.moreCompleted(40);
      await killAndRestart(scene, 'everysec', 0, () => {
        const file = appendOnlyFile(scene);
        truncateSync(file, statSync(file).size - LOST_TAIL_BYTES);
      });
    },
  },
];
