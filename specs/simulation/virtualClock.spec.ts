import { expect } from 'chai';
import { Timeline } from './timeline.js';
import { settlePromises, SimulatedProcess, VirtualClock } from './virtualClock.js';

describe('the virtual clock', () => {
  let timeline: Timeline;
  let process: SimulatedProcess;
  let clock: VirtualClock;
  let happened: string[];
  const note = (what: string) => () => void happened.push(`${what} at ${clock.now()}`);
  const runAll = (): void => {
    while (timeline.step());
  };

  beforeEach(() => {
    timeline = new Timeline();
    process = new SimulatedProcess('p', timeline);
    clock = new VirtualClock(timeline, process);
    happened = [];
  });

  it('runs timers in the order of their times, those of one time in the order they were set', () => {
    const delays = [30, 10, 20, 10, 0, 40, 5, 20];
    delays.forEach((delayMs, index) => clock.setTimeout(note(String(index)), delayMs));
    runAll();
    expect(happened).to.deep.equal([
      '4 at 0',
      '6 at 5',
      '1 at 10',
      '3 at 10',
      '2 at 20',
      '7 at 20',
      '0 at 30',
      '5 at 40',
    ]);
  });

  it('stands still until a step is taken, and forgets timers that are cleared', () => {
    const timer = clock.setTimeout(note('cleared'), 10);
    clock.setTimeout(note('kept'), 20);
    expect(clock.now()).to.equal(0);
    clock.clearTimeout(timer);
    expect(timeline.step()).to.equal(true);
    expect(happened).to.deep.equal(['kept at 20']);
    expect(timeline.step()).to.equal(false);
  });

  it('lets what becomes due in a paused process happen when it goes on, unless it is cleared then', () => {
    const elsewhere = new VirtualClock(timeline);
    clock.setTimeout(() => {
      note('first')();
      clock.clearTimeout(second);
    }, 10);
    const second = clock.setTimeout(note('second'), 20);
    clock.setTimeout(note('third'), 30);
    process.pause();
    elsewhere.setTimeout(() => {
      process.resume();
    }, 100);
    runAll();
    expect(happened).to.deep.equal(['first at 100', 'third at 100']);
  });

  it('runs nothing in a dead process', () => {
    clock.setTimeout(note('never'), 10);
    process.kill();
    runAll();
    expect(happened).to.deep.equal([]);
  });

  it('keeps the wall clock apart from the monotonic one', () => {
    const before = clock.wallMs();
    clock.jumpWall(-5_000);
    clock.setTimeout(note('timer'), 1_000);
    runAll();
    expect(clock.wallMs() - before).to.equal(-4_000);
    expect(clock.now()).to.equal(1_000);
  });

  it('settles all promises between steps, however long their chains', async () => {
    let links = 0;
    const chain = async (): Promise<void> => {
      for (; links < 500; links++) await Promise.resolve();
    };
    void chain();
    await settlePromises();
    expect(links).to.equal(500);
  });
});
