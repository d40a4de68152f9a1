import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { processUsage } from '../../cli/processUsage.js';
import { eventually } from '../support/eventually.js';

const BLOCKED_MS = 150;

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
    const usage = processUsage();
    await sleep(300);
    expect(usage().loopLagSeconds).to.equal(0.01);
    block();
    usage();
    await sleep(250);
    block();
    await sleep(50);
    expect(usage().loopLagSeconds).to.be.within(0.03, 5);
    // Specs before this one may have left something to do for a while.
    await eventually('it rests', async () => {
      usage();
      await sleep(300);
      return usage().loopLagSeconds === 0.01;
    });
  });
});
