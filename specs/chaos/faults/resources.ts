import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../fault.js';
import type { Scene } from '../scene.js';

/** Running out of disk and of file descriptors. */

const DISK_BYTES = 24 * 1024 * 1024;
const FULL_MS = 3_000;
const STARVED_MS = 3_000;
/** Descriptors a starved process can still open. */
const SPARE_DESCRIPTORS = 2;

const needsRoot = (): string | undefined =>
  process.platform === 'linux' && userInfo().uid === 0 ? undefined : 'needs Linux and root';

const needsPrlimit = (): string | undefined => {
  try {
    execFileSync('prlimit', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'needs prlimit';
  }
};

/** Puts Redis' files on a small file system of their own. */
async function smallDisk(scene: Scene): Promise<void> {
  const { redis } = scene.platform;
  const held = join(redis.directory, '..', `held-${redis.port}`);
  await redis.kill('SIGTERM');
  execFileSync('cp', ['-a', redis.directory, held]);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'mpcsfaas-chaos', redis.directory]);
  execFileSync('cp', ['-a', `${held}/.`, redis.directory]);
  rmSync(held, { recursive: true });
  await redis.restart();
}

async function fillDisk(scene: Scene): Promise<void> {
  const filler = join(scene.platform.redis.directory, 'filler');
  try {
    writeFileSync(filler, Buffer.alloc(2 * DISK_BYTES));
  } catch {
    // No space left: so it should be.
  }
  await sleep(FULL_MS);
  rmSync(filler, { force: true });
}

/** Leaves a process hardly a descriptor to open, for a while. */
async function starve(pid: number, meanwhile: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  const open = readdirSync(`/proc/${pid}/fd`).map(Number);
  const before = execFileSync('prlimit', ['--pid', String(pid), '--nofile', '--noheadings', '--raw', '-o', 'SOFT']);
  const limit = (soft: number | string): void => {
    execFileSync('prlimit', ['--pid', String(pid), `--nofile=${soft}:`]);
  };
  limit(Math.max(...open) + 1 + SPARE_DESCRIPTORS);
  await meanwhile();
  await sleep(STARVED_MS);
  limit(before.toString().trim());
}

export const RESOURCE_FAULTS: Fault[] = [
  {
    name: 'full disk under Redis',
    unavailable: needsRoot,
    recoveryMs: 10_000,
    prepare: smallDisk,
    inject: fillDisk,
    cleanUp: async ({ platform }) => {
      // Redis keeps its open files; the directory is an ordinary one again and can be removed.
      execFileSync('umount', ['-l', platform.redis.directory]);
      return Promise.resolve();
    },
  },
  {
    name: 'API out of descriptors',
    unavailable: needsPrlimit,
    startsOnce: true,
    inject: ({ platform }) => starve(platform.api.pid),
  },
  {
    name: 'dispatcher out of descriptors',
    unavailable: needsPrlimit,
    inject: ({ platform }) => starve(platform.dispatcher.pid),
  },
  {
    name: 'worker out of descriptors, its Pythons killed',
    unavailable: needsPrlimit,
    inject: async (scene) => {
      const worker = scene.platform.workers[0]!;
      await starve(worker.pid, () => {
        for (const pid of scene.runtimes(worker)) process.kill(pid, 'SIGKILL');
        return Promise.resolve();
      });
    },
  },
];
