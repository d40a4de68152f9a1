import { expect } from 'chai';
import { Announcer } from '../../actors/announcer.js';
import type { ControlMessage, SettledTask } from '../../bus/controlMessages.js';
import { Timeline } from '../simulation/timeline.js';
import { VirtualClock } from '../simulation/virtualClock.js';

const ended = (taskId: string, bytes = 1): SettledTask => ({
  taskId,
  state: 'completed',
  payload: Buffer.alloc(bytes),
});

describe('telling everybody of ends', () => {
  let timeline: Timeline;
  let announcer: Announcer;
  const events: string[][] = [];

  beforeEach(() => {
    timeline = new Timeline();
    events.length = 0;
    announcer = new Announcer({
      clock: new VirtualClock(timeline),
      publish: (message: ControlMessage) => {
        if (message.type === 'tasks.settled') events.push(message.tasks.map(({ taskId }) => taskId));
      },
    });
  });
  function pass(ms: number): void {
    const end = { isOver: false };
    timeline.schedule(ms, () => (end.isOver = true));
    while (!end.isOver) timeline.step();
  }

  it('is done at once where somebody waits for it', () => {
    announcer.announce([ended('a'), ended('b')], false);
    expect(events).to.deep.equal([['a', 'b']]);
  });

  it('is done a little later, of many at once, where who waits knows already', () => {
    announcer.announce([ended('a')], true);
    pass(10);
    announcer.announce([ended('b')], true);
    expect(events).to.deep.equal([]);
    pass(100);
    expect(events).to.deep.equal([['a', 'b']]);
    pass(1_000);
    expect(events).to.have.length(1);
  });

  it('does not keep more than one event takes, nor what was kept when there is one at once, nor anything at the end', () => {
    for (let count = 0; count < 256; count++) announcer.announce([ended(`${count}`)], true);
    expect(events.map(({ length }) => length)).to.deep.equal([256]);
    announcer.announce([ended('a')], true);
    announcer.announce([ended('b')], false);
    expect(events[1]).to.deep.equal(['a', 'b']);
    announcer.announce([ended('c')], true);
    announcer.flush();
    expect(events[2]).to.deep.equal(['c']);
  });

  it('makes events that NATS can carry', () => {
    announcer.announce([ended('a', 300_000), ended('b', 300_000), ended('c')], false);
    expect(events).to.deep.equal([['a'], ['b', 'c']]);
  });
});
