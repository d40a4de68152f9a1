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

/** `make test` has tried to install it, and said why it could not. */
export const bubblewrapIsThere = (): boolean => findProgram('bwrap', process.env['PATH']) !== undefined;

/** A pool in bubblewrap, with small limits; started. */
export async function startBubblewrapped(client: PythonClient, options: PoolFixtureOptions = {}): Promise<PoolFixture> {
  const made = new PoolFixture(client, {
    ...{ slots: 1, ...LIMITS, ...options },
    sandbox: { kind: 'bubblewrap', user: 'nobody', ...LIMITS.sandbox, ...options.sandbox },
  });
  await made.pool.start();
  return made;
}
