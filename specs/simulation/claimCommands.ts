import { expect } from 'chai';
import fc from 'fast-check';
import type { Claim, ClaimedTask } from '../../bus/taskStore.js';
import { command } from './storeCommand.js';
import { delayMs, type Span, STANDING_CLAIMANT, type StorePair } from './storePair.js';

export const span = fc.constantFrom<Span>('over', 'lasting');

const offer = fc.record({
  capabilities: fc.record({
    labels: fc.subarray(['gpu', 'eu']),
    python: fc.constantFrom('cpython-3.11', 'pypy-3.9'),
  }),
  credit: fc.integer({ min: 0, max: 4 }),
});
const claimBounds = {
  limit: fc.integer({ min: 1, max: 6 }),
  bytes: fc.constantFrom(1, 10, 1_000_000),
  lease: span,
  offers: fc.option(fc.array(offer, { minLength: 1, maxLength: 3 }), { nil: undefined, freq: 3 }),
};
export const claim = fc.record(claimBounds).map(({ limit, bytes, lease, offers }) =>
  command({ claim: limit, bytes, lease, offers }, async (pair) => {
    const nonce = pair.nextNonce();
    const [real, model] = await pair.both(lease, (store) => store.claim('dispatcher', limit, nonce, bytes, offers));
    expectSameClaim(pair, real, model);
  }),
);

/** A claim that may stand, and is told on its own what it gets then. */
export const standingClaim = fc
  .record({ ...claimBounds, lease: fc.constant<Span>('lasting'), stands: span })
  .map((bounds) =>
    command({ standingClaim: bounds }, async (pair) => {
      const { limit, bytes, offers, stands } = bounds;
      const nonce = pair.nextNonce();
      const [real, model] = await pair.both('lasting', (store) =>
        store.claim(STANDING_CLAIMANT, limit, nonce, bytes, offers, delayMs(stands)),
      );
      expectSameClaim(pair, real, model);
    }),
  );

export const withdraw = fc.constant(
  command('withdraw', async (pair) => {
    const [real, model] = await pair.both('lasting', (store) => store.withdraw(STANDING_CLAIMANT));
    expect(model).to.equal(real);
  }),
);

export async function expectSameHandOvers(pair: StorePair): Promise<void> {
  await pair.heard();
  const [real, model] = [pair.handedOver.real.splice(0), pair.handedOver.model.splice(0)];
  const named = ([nonce, , standsOn]: (typeof real)[0]): unknown[] => [nonce, standsOn];
  expect(model.map(named)).to.deep.equal(real.map(named));
  model.forEach(([, claim], index) => expectSameClaim(pair, real[index]![1], claim));
}

export function expectSameClaim(pair: StorePair, real: Claim, model: Claim): void {
  const apartFromTasks = ({ promoted, stands, stood, isCut }: Claim): unknown[] => [promoted, stands, stood, isCut];
  expect(apartFromTasks(model)).to.deep.equal(apartFromTasks(real));
  const apartFromFence = model.claimed.map((task, index) => ({ ...task, fence: real.claimed[index]?.fence }));
  expect(apartFromFence.map(timeless)).to.deep.equal(real.claimed.map(timeless));
  model.claimed.forEach((task, index) => {
    expect(task.fence).to.match(new RegExp(`^${task.attempt}:`));
    pair.attempts.push({ model: task, real: real.claimed[index]! });
  });
}

const timeless = (task: Pick<ClaimedTask, 'waitedMs'>) => ({
  ...task,
  waitedMs: task.waitedMs === undefined ? 'unknown' : 'some time',
});
