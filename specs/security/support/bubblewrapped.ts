import { spawnSync } from 'node:child_process';
import { findProgram } from '../../../workers/sandbox/runtimePaths.js';
import { PoolFixture } from '../../workers/support/poolFixture.js';
import type { PythonClient } from '../../workers/support/pythonClient.js';

const MEBIBYTE = 1024 ** 2;
/** Bombs are let off within these alone, on a machine that others use as well. */
const LIMITS = { maxMemoryBytes: 256 * MEBIBYTE, sandbox: { maxProcesses: 64, temporaryBytes: 16 * MEBIBYTE } };
export const SEVEN = 'def f():\n    return 7';

export type PoolFixtureOptions = ConstructorParameters<typeof PoolFixture>[1];

/** A function `f` without arguments. */
export const lines = (...body: string[]): string => `def f():\n${body.map((line) => `    ${line}\n`).join('')}`;

const NAMESPACES = ['--unshare-pid', '--unshare-net', '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev'];

/** `make test` has tried to install it, and said why it could not. A kernel that refuses namespaces is told of here. */
export function bubblewrapIsThere(): boolean {
  const bwrap = findProgram('bwrap', process.env['PATH']);
  if (bwrap === undefined) return false;
  const { status, stderr } = spawnSync(bwrap, [...NAMESPACES, 'true'], { encoding: 'utf8', timeout: 10_000 });
  if (status === 0) return true;
  process.stdout.write(
    `    this machine does not let bubblewrap make namespaces (${stderr.trim()}): its specs are skipped\n`,
  );
  return false;
}

/** A pool in bubblewrap, with small limits; started. */
export async function startBubblewrapped(client: PythonClient, options: PoolFixtureOptions = {}): Promise<PoolFixture> {
  const made = new PoolFixture(client, {
    ...{ slots: 1, ...LIMITS, ...options },
    sandbox: { kind: 'bubblewrap', user: 'nobody', ...LIMITS.sandbox, ...options.sandbox },
  });
  await made.pool.start();
  return made;
}
