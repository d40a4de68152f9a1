import { expect } from 'chai';
import { Lookout } from '../../actors/lookout.js';
import { Timeline } from '../simulation/timeline.js';
import { settlePromises, VirtualClock } from '../simulation/virtualClock.js';
import { until } from '../store/support/until.js';
import { useHouse } from './support/house.js';

const SECOND = 1_000;
const POLL_MS = 100;

describe('looking into the queue unasked', () => {
  let timeline: Timeline;
  let lookout: Lookout;
  let looksAtMs: number[];
  let nextDue: () => Promise<number | undefined>;
  let errors: unknown[];
  let others: boolean;

  beforeEach(() => {
    timeline = new Timeline();
    const clock = new VirtualClock(timeline);
    [looksAtMs, errors, others] = [[], [], true];
    nextDue = () => Promise.resolve(undefined);
    lookout = new Lookout(
      { heartbeatMs: SECOND, pollMs: POLL_MS },
      {
        store: { nextDueMs: () => nextDue() },
        clock,
        look: () => looksAtMs.push(clock.now()),
        onError: (error) => errors.push(error),
      },
    );
    lookout.news();
    const beat = (): void => {
      if (others) lookout.heard();
      lookout.beat();
      timeline.schedule(SECOND, beat);
    };
    timeline.schedule(SECOND, beat);
  });

  /** Looks within the next so many ms. */
  async function looksWithin(ms: number): Promise<number> {
    const before = looksAtMs.length;
    const end = { isOver: false };
    timeline.schedule(ms, () => (end.isOver = true));
    while (!end.isOver) {
      timeline.step();
      await settlePromises();
    }
    return looksAtMs.length - before;
  }

  it('is done often after news, and once a heartbeat when there has been none for two', async () => {
    expect(await looksWithin(2 * SECOND)).to.be.within(19, 21);
    await looksWithin(1.5 * SECOND);
    expect(await looksWithin(10 * SECOND)).to.equal(10);
    lookout.news();
    expect(await looksWithin(2 * SECOND)).to.be.within(19, 22);
    await looksWithin(1.5 * SECOND);
    expect(await looksWithin(10 * SECOND)).to.equal(10);
  });

  it('is done often while nobody is heard, for what nobody can tell', async () => {
    others = false;
    await looksWithin(4 * SECOND);
    expect(await looksWithin(10 * SECOND)).to.be.within(98, 112);
    others = true;
    await looksWithin(4 * SECOND);
    expect(await looksWithin(10 * SECOND)).to.equal(10);
  });

  it('is done often when a task is about to become due, and after that', async () => {
    const dueAtMs = 20.5 * SECOND;
    nextDue = () => Promise.resolve(timeline.nowMs < dueAtMs ? dueAtMs - timeline.nowMs : undefined);
    await looksWithin(20 * SECOND);
    expect(looksAtMs.filter((atMs) => atMs > 5 * SECOND && atMs < 17.5 * SECOND)).to.have.length(12);
    await looksWithin(SECOND);
    const nextLook = looksAtMs.find((atMs) => atMs >= dueAtMs);
    expect(nextLook! - dueAtMs).to.be.within(0, POLL_MS);
    await looksWithin(4 * SECOND);
    expect(await looksWithin(10 * SECOND)).to.equal(10);
  });

  it('goes on often while the store does not answer', async () => {
    await looksWithin(5 * SECOND);
    nextDue = () => Promise.reject(new Error('away'));
    await looksWithin(SECOND);
    expect(await looksWithin(10 * SECOND)).to.be.within(98, 112);
    expect(errors.length).to.be.within(3, 10);
  });

  it('does not rest on an answer that is older than the news', async () => {
    await looksWithin(3.5 * SECOND);
    nextDue = async () => {
      lookout.news();
      return Promise.resolve(undefined);
    };
    await looksWithin(SECOND);
    expect(await looksWithin(1.9 * SECOND)).to.be.within(18, 21);
  });

  it('ends when it is stopped, whatever comes then', async () => {
    await looksWithin(SECOND);
    lookout.stop();
    lookout.news();
    expect(await looksWithin(0.9 * SECOND)).to.equal(0);
  });
});

describe('an idle dispatcher', () => {
  const house = useHouse();

  it('finds what nobody told of, and runs delayed tasks when they are due', async () => {
    house().startDispatcher();
    await house().startWorker();
    const others = setInterval(() => {
      house().say({ type: 'component.heartbeat', kind: 'api', id: 'a', state: 'running' });
    }, house().heartbeatMs / 2);
    try {
      await house().become('completed', await house().submit('echo'));
      let looks = 0;
      const { store } = house().fixture;
      const nextDueMs = store.nextDueMs.bind(store);
      store.nextDueMs = () => {
        looks++;
        return nextDueMs();
      };
      // Asked while it is idle alone.
      await until(() => looks > 3);
      await house().become('completed', await house().submit('echo'));
      await until(() => looks > 6);
      const begunMs = performance.now();
      await house().become('completed', await house().submit('echo', 1, { delayMs: 400 }));
      expect(performance.now() - begunMs).to.be.greaterThan(390);
    } finally {
      clearInterval(others);
    }
  });
});
