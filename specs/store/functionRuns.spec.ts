import { expect } from 'chai';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { bucketOf, type FunctionRuns, summaryOfRuns } from '../../bus/functionRuns.js';
import { FunctionTallies } from '../../actors/functionTallies.js';
import { StoreFixture } from './support/storeFixture.js';

const runsOf = (completedUs: readonly number[], failed = 0): FunctionRuns => {
  const tallies = new FunctionTallies();
  for (const runTimeUs of completedUs) tallies.count('f', 'completed', runTimeUs);
  for (let count = 0; count < failed; count++) tallies.count('f', 'failed', 123);
  return tallies.take().get('f')!;
};

describe('what is counted of functions', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start();
  });
  after(() => fixture.stop());

  it('adds up in the store, whoever counted it', async () => {
    const [often, once, never] = [randomUUID(), randomUUID(), randomUUID()];
    await fixture.store.addFunctionRuns(
      new Map([
        [often, runsOf([100, 100, 20_000])],
        [once, runsOf([], 2)],
      ]),
    );
    await fixture.store.addFunctionRuns(new Map([[often, runsOf([100, 7], 1)]]));
    await fixture.store.addFunctionRuns(new Map());
    const [first, second, third] = await fixture.store.readFunctionRuns([often, once, never]);
    expect(first).to.deep.equal({ ...runsOf([7, 100, 100, 100, 20_000], 1) });
    expect(second).to.deep.equal({ completed: 0, failed: 2, runTimeUs: 0, buckets: new Map() });
    expect(third).to.deep.equal({ completed: 0, failed: 0, runTimeUs: 0, buckets: new Map() });
  });

  it('is taken once', () => {
    const tallies = new FunctionTallies();
    tallies.count('f', 'completed', 5);
    expect([...tallies.take().keys()]).to.deep.equal(['f']);
    expect(tallies.take().size).to.equal(0);
  });

  it('gives the mean, and percentiles within 9 %', () => {
    const times = fc.array(fc.integer({ min: 1, max: 3_600_000_000 }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(times, (runTimesUs) => {
        const summary = summaryOfRuns(runsOf(runTimesUs))!;
        const sorted = runTimesUs.toSorted((a, b) => a - b);
        const exact = (share: number) => sorted[Math.ceil(sorted.length * share) - 1]!;
        expect(summary.meanUs).to.equal(Math.round(runTimesUs.reduce((sum, us) => sum + us, 0) / runTimesUs.length));
        for (const [given, share] of [
          [summary.p50Us, 0.5],
          [summary.p95Us, 0.95],
          [summary.p99Us, 0.99],
        ] as const)
          expect(given).to.be.within(Math.floor(exact(share) / 1.0906), Math.ceil(exact(share) * 1.0906));
      }),
    );
  });

  it('has no run times where nothing has completed', () => {
    expect(summaryOfRuns(runsOf([], 3))).to.equal(undefined);
    expect([bucketOf(0), bucketOf(0.5), bucketOf(1)]).to.deep.equal([0, 0, 0]);
  });
});
