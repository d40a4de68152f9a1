import { expect } from 'chai';
import { type Clock, every } from '../../actors/clock.js';
import { Timeline } from '../simulation/timeline.js';
import { VirtualClock } from '../simulation/virtualClock.js';

describe('what is done at an interval', () => {
  let timeline: Timeline;
  let timers: number;
  let clock: Clock;
  let done: string[];
  const note = (what: string) => (): void => void done.push(`${what} at ${timeline.nowMs}`);
  const runUntil = (ms: number): void => {
    const end = { isOver: false };
    timeline.schedule(ms - timeline.nowMs, () => (end.isOver = true));
    while (!end.isOver) timeline.step();
  };

  beforeEach(() => {
    timeline = new Timeline();
    timers = 0;
    done = [];
    const virtual = new VirtualClock(timeline);
    clock = {
      now: () => virtual.now(),
      wallMs: () => virtual.wallMs(),
      clearTimeout: (timer) => {
        virtual.clearTimeout(timer);
      },
      setTimeout: (action, delayMs) => {
        timers++;
        return virtual.setTimeout(action, delayMs);
      },
    };
  });

  it('is done in one go by whoever has the same, after half an interval at least', () => {
    every(clock, 100, note('a'));
    runUntil(30);
    every(clock, 100, note('b'));
    runUntil(160);
    every(clock, 100, note('late'));
    runUntil(310);
    expect(done).to.deep.equal(['a at 100', 'b at 100', 'a at 200', 'b at 200', 'a at 300', 'b at 300', 'late at 300']);
    expect(timers).to.equal(4);
  });

  it('is apart by interval and by process', () => {
    const other = new VirtualClock(timeline);
    every(clock, 100, note('a'));
    every(clock, 70, note('b'));
    runUntil(20);
    every(other, 100, note('c'));
    runUntil(150);
    expect(done).to.deep.equal(['b at 70', 'a at 100', 'c at 120', 'b at 140']);
  });

  it('ends for each when it is stopped, from within as well, and may begin anew', () => {
    const stopA = every(clock, 100, () => {
      note('a')();
      stopA();
      stopB();
    });
    const stopB = every(clock, 100, note('b'));
    const stopC = every(clock, 100, note('c'));
    runUntil(250);
    stopC();
    stopC();
    runUntil(420);
    expect(done).to.deep.equal(['a at 100', 'c at 100', 'c at 200']);
    const begun = timers;
    every(clock, 100, note('d'));
    runUntil(530);
    expect(done.slice(3)).to.deep.equal(['d at 520']);
    expect(timers - begun).to.equal(2);
  });
});
