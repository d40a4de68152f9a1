import { expect } from 'chai';
import type { Breakage } from './breakages.js';
import { PROFILES } from './profiles.js';
import { runChunk } from './runSeeds.js';
import { simulate, type SimulationReport } from './simulation.js';

/** `make simulate` runs others, and more. */
const SEEDS = 120;
/** A breakage must show within so many seeds. */
const SEEDS_TO_FIND_A_BREAKAGE = 400;

const words = ({ seed, profile, violation, lastEvents }: SimulationReport): string =>
  [`seed ${seed} (${profile}): ${violation?.invariant}: ${violation?.detail}`, ...lastEvents.slice(-40)].join('\n');

describe('the platform in simulation', () => {
  it(`keeps its promises in ${SEEDS} seeds of lost messages, crashes, pauses, and a failing store`, async function () {
    this.timeout(120_000);
    this.slow(30_000);
    const reports = await runChunk({ from: 1, count: SEEDS, breakage: undefined });
    const last = reports.at(-1)!;
    expect(last.violation, last.violation && words(last)).to.equal(undefined);
    expect(new Set(reports.map(({ profile }) => profile))).to.deep.equal(new Set(PROFILES.map(({ name }) => name)));
    const sum = (name: keyof SimulationReport['totals']): number =>
      reports.reduce((total, { totals }) => total + totals[name], 0);
    // That nothing was violated says something only if things went wrong.
    for (const name of [
      'staleRefused',
      'duplicatesRefused',
      'reaped',
      'released',
      'requeued',
      'messagesLost',
      'unblocked',
      'dependencyFailed',
      'foundBySweep',
      'handedOver',
      'handOversLost',
    ] as const) {
      expect(sum(name), name).to.be.greaterThan(0);
    }
  });

  it('runs the same seed the same way, event for event', async () => {
    for (const seed of [1, 2, 3, 23, 99]) {
      const first = await simulate({ seed });
      const second = await simulate({ seed });
      expect(second).to.deep.equal(first);
    }
    expect((await simulate({ seed: 1 })).traceHash).not.to.equal((await simulate({ seed: 2 })).traceHash);
  });

  const breakages: [Breakage, string, RegExp][] = [
    ['fence', 'a store that settles whatever attempt', /only the holder of the fence settles/],
    [
      'adoption',
      'a dispatcher that does not listen to what workers hold',
      /runs twice without need|max_attempts|refused is stopped/,
    ],
    ['reap-pause', 'a store that enforces leases at once after its restart', /without need/],
    ['sweep', 'that nobody looks for blocked tasks that were told nothing', /goes on in time/],
  ];
  for (const [breakage, description, invariant] of breakages) {
    it(`finds out ${description}, and shows it again from the seed`, async function () {
      this.timeout(120_000);
      this.slow(30_000);
      const found = (await runChunk({ from: 1, count: SEEDS_TO_FIND_A_BREAKAGE, breakage })).at(-1)!;
      expect(found.violation?.invariant).to.match(invariant);
      const again = await simulate({ seed: found.seed, breakage });
      expect(again).to.deep.equal(found);
      expect((await simulate({ seed: found.seed })).violation).to.equal(undefined);
    });
  }
});
