import { expect } from 'chai';
import { Cancellations } from '../../actors/cancellations.js';
import { ManualClock } from '../lifecycles/support/manualClock.js';

const ref = (name: string, fence = '1:a'): { taskId: string; fence: string } => ({ taskId: name, fence });

describe('The word of a cancellation', () => {
  const cancellations = (clock: ManualClock): Cancellations =>
    new Cancellations({ workers: { send: () => expect.fail('no worker has it') }, clock, all: () => [] });

  it('that overtakes its task keeps that very attempt from being sent', () => {
    const early = cancellations(new ManualClock());
    early.cancel([ref('t'), ref('u')]);
    const others = [ref('t', '2:b'), ref('v')];
    expect(early.without([ref('t'), ...others, ref('u')])).to.deep.equal(others);
  });

  it('is forgotten after a while, and does not gather', () => {
    const clock = new ManualClock();
    const early = cancellations(clock);
    early.cancel([ref('t')]);
    clock.advance(11_000);
    early.cancel([ref('u')]);
    expect(early.without([ref('t'), ref('u')])).to.deep.equal([ref('t')]);
    early.cancel(Array.from({ length: 20_000 }, (_, n) => ref(`many ${n}`)));
    expect(early.without([ref('many 1'), ref('many 19999')])).to.deep.equal([ref('many 1')]);
  });
});
