import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { processUsage } from '../../cli/processUsage.js';

const BLOCKED_MS = 150;

const WITHIN_MS = 18_000;
/** A process at rest, busy, and at rest again, though it may take a busy machine some tries to let it: how late its loop was. */
const LIFE = `
import { setTimeout as sleep } from 'node:timers/promises';
import { processUsage } from '${pathToFileURL(join(PACKAGE_ROOT, 'dist', 'cli', 'processUsage.js')).href}';
const block = () => { for (const end = performance.now() + ${BLOCKED_MS}; performance.now() < end; ); };
const usage = processUsage();
await sleep(300);
const before = usage().loopLagSeconds;
block();
usage();
await sleep(250);
block();
await sleep(50);
const busy = usage().loopLagSeconds;
let after;
for (let tries = 0; tries < 20 && after !== 0.01; tries++) {
  await sleep(300);
  usage();
  await sleep(300);
  after = usage().loopLagSeconds;
}
console.log(JSON.stringify([before, busy, after]));
`;

/** For so much processor time: a busy machine gives it later. */
function block(): void {
  const before = process.cpuUsage();
  for (;;) {
    const { user, system } = process.cpuUsage(before);
    if (user + system >= BLOCKED_MS * 1_000) return;
  }
}

describe('what a worker tells of its process', () => {
  it('has the processor time so far, and memory', () => {
    const usage = processUsage();
    const { cpuSeconds, residentBytes } = usage();
    block();
    expect(usage().cpuSeconds - cpuSeconds).to.be.within(BLOCKED_MS / 1_000, 5);
    expect(residentBytes).to.be.greaterThan(10 * 2 ** 20);
  });

  it('has how late its event loop is, once it is busy; while it is not, the interval of the usual timer alone', async () => {
    // In a process of its own: that of the specs is never quite idle.
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', LIFE], {
      timeout: WITHIN_MS,
    });
    const [before, busy, after] = JSON.parse(stdout) as number[];
    expect(before).to.equal(0.01);
    expect(busy).to.be.within(0.03, 5);
    expect(after, 'at rest again').to.equal(0.01);
  });
});
