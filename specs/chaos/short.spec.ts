import { expect } from 'chai';
import { FAULTS } from './faultList.js';
import { randomKiller } from './randomKiller.js';
import { rowLines } from './report.js';
import { runFault } from './runFault.js';

/** What `make test` has time for; `make chaos` does all of it, for longer. */
const SHORT = [
  'worker SIGKILL, full slots',
  'worker SIGSTOP, CONT during the second run',
  'dispatcher SIGKILL, back within the lease',
  'Redis SIGKILL, back after the lease, tasks run on',
  'worker half-open past the lease',
];
const SEED = 20;
const SECONDS = 10;

describe('A platform under faults loses nothing and records nothing twice', function () {
  this.timeout(120_000);

  const faults = SHORT.map((name) => FAULTS.find((fault) => fault.name === name)!);
  for (const fault of [...faults, randomKiller({ seed: SEED, minutes: SECONDS / 60 })]) {
    it(fault.name, async () => {
      const row = await runFault(fault);
      expect(row.violations, rowLines(row).join('\n')).to.deep.equal([]);
    });
  }
});
