import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import type { Fault } from './fault.js';
import { FAULTS } from './faultList.js';
import { BREAKAGE_VARIABLE } from './settings.js';

/**
 * Ways to break the platform, so that it can be seen that the suite would notice, and the fault whose row notices:
 * - `fence`: Redis lets any attempt of a running task be settled, renewed and given back, whoever holds it now
 * - `adoption`: dispatchers do not look at what a worker says that it holds
 * - `reap-pause`: leases are enforced at once after Redis has restarted or stood still
 */
export const NOTICED_BY = {
  fence: 'worker SIGSTOP, CONT during the second run',
  adoption: 'dispatcher SIGKILL, back within the lease',
  'reap-pause': 'Redis SIGKILL, back after the lease, tasks run on',
} as const;
export type Breakage = keyof typeof NOTICED_BY;

export const isBreakage = (name: string): name is Breakage => Object.hasOwn(NOTICED_BY, name);

/** Every process of the platform loads it before its own code. */
const SABOTAGE = pathToFileURL(join(PACKAGE_ROOT, 'dist', 'specs', 'chaos', 'sabotage.js')).href;

/** The fault that must be noticed, on a platform that is broken so. */
export function faultThatNotices(breakage: Breakage): Fault {
  const fault = FAULTS.find(({ name }) => name === NOTICED_BY[breakage])!;
  const env = { ...fault.platform?.env, [BREAKAGE_VARIABLE]: breakage, NODE_OPTIONS: `--import ${SABOTAGE}` };
  return { ...fault, name: `${fault.name}, without ${breakage}`, platform: { ...fault.platform, env } };
}
