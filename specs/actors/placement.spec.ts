import { expect } from 'chai';
import fc from 'fast-check';
import { FunctionCache } from '../../actors/functionCache.js';
import { type Candidate, creditOf, place, prefetchPerSlot } from '../../actors/placement.js';
import { RunTimes } from '../../actors/runTimes.js';
import type { ClaimedTask } from '../../bus/taskStore.js';

interface Worker extends Candidate {
  name: string;
}
const worker = (name: string, slots: number, inFlight = 0, warm: string[] = []): Worker => ({
  name,
  slots,
  inFlight,
  hasFunction: (functionId) => warm.includes(functionId),
});
const tasks = (count: number, functionId = 'f'): ClaimedTask[] =>
  Array.from({ length: count }, (_, index) => ({
    ...{ taskId: String(index), fence: '1:x', functionId, arguments: Buffer.alloc(0) },
    ...{ attempt: 1, timeoutMs: 0 },
  }));
const shares = (count: number, workers: Worker[], prefetch = 0, functionId = 'f'): Record<string, number> => {
  const { placed } = place(tasks(count, functionId), workers, prefetch);
  return Object.fromEntries([...placed].map(([{ name }, own]) => [name, own.length]));
};

describe('placement', () => {
  it('balances equal workers', () => {
    expect(shares(6, [worker('a', 4), worker('b', 4), worker('c', 4)])).to.deep.equal({ a: 2, b: 2, c: 2 });
  });

  it('fills free slots before anybody gets a task to wait', () => {
    expect(shares(3, [worker('full', 2, 2), worker('free', 4, 1)], 10)).to.deep.equal({ free: 3 });
    expect(shares(5, [worker('full', 2, 2), worker('free', 4, 1)], 10)).to.deep.include({ free: 4 });
  });

  it('fills a free slot somewhere cold before a queue somewhere warm', () => {
    expect(shares(1, [worker('warm', 1, 1, ['f']), worker('cold', 1)], 10)).to.deep.equal({ cold: 1 });
  });

  it('prefers the worker that has the function among those that are loaded alike', () => {
    expect(shares(1, [worker('cold', 2), worker('warm', 2, 0, ['f']), worker('cool', 2)])).to.deep.equal({ warm: 1 });
    expect(shares(1, [worker('warm', 2, 0, ['g']), worker('hot', 2, 0, ['f'])])).to.deep.equal({ hot: 1 });
  });

  it('does not heap everything onto the warm one', () => {
    expect(shares(4, [worker('cold', 4), worker('warm', 4, 0, ['f'])])).to.deep.equal({ cold: 2, warm: 2 });
  });

  it('queues in proportion to slots', () => {
    const { small = 0, large = 0 } = shares(60, [worker('small', 2, 2), worker('large', 8, 8)], 10);
    expect(large / small).to.be.within(3, 5);
  });

  it('gives nobody more than its credit, and returns the rest', () => {
    const { placed, unplaced } = place(tasks(10), [worker('a', 2, 1), worker('b', 1, 0)], 1);
    expect([...placed.values()].map((own) => own.length)).to.deep.equal([3, 2]);
    expect(unplaced.map(({ taskId }) => taskId)).to.have.length(5);
    expect(place(tasks(2), [], 5).unplaced).to.have.length(2);
    expect(place(tasks(2), [worker('full', 2, 9)], 0).unplaced).to.have.length(2);
  });

  it('keeps the order of the tasks of each worker', () => {
    const { placed } = place(tasks(30), [worker('a', 20), worker('b', 20)], 0);
    for (const own of placed.values()) {
      const ids = own.map(({ taskId }) => Number(taskId));
      expect(ids).to.deep.equal([...ids].sort((x, y) => x - y));
    }
  });

  it('loses no task and overloads no worker, whatever there is', () => {
    const someWorker = fc.record({
      slots: fc.integer({ min: 1, max: 8 }),
      inFlight: fc.nat({ max: 30 }),
      warm: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.nat({ max: 60 }),
        fc.array(someWorker, { maxLength: 6 }),
        fc.nat({ max: 5 }),
        (count, some, prefetch) => {
          const workers = some.map(({ slots, inFlight, warm }, i) =>
            worker(String(i), slots, inFlight, warm ? ['f'] : []),
          );
          const { placed, unplaced } = place(tasks(count), workers, prefetch);
          const ids = [...[...placed.values()].flat(), ...unplaced].map(({ taskId }) => taskId);
          expect(ids).to.have.length(count);
          expect(new Set(ids)).to.have.property('size', count);
          for (const [one, own] of placed) expect(own.length).to.be.within(1, creditOf(one, prefetch));
          const credit = workers.reduce((sum, one) => sum + creditOf(one, prefetch), 0);
          expect(unplaced.length).to.equal(Math.max(0, count - credit));
          // Nobody has a task to wait while a slot is free elsewhere.
          const load = (one: Worker): number => one.inFlight + (placed.get(one)?.length ?? 0);
          const queued = workers.some((one) => (placed.get(one)?.length ?? 0) > 0 && load(one) > one.slots);
          if (queued) expect(workers.every((one) => load(one) >= one.slots)).to.equal(true);
        },
      ),
    );
  });
});

describe('prefetch', () => {
  it('is nothing for functions that take long, or that nobody knows yet', () => {
    for (const runTimeMs of [undefined, 50.1, 1_000, Infinity]) expect(prefetchPerSlot(runTimeMs)).to.equal(0);
  });

  it('is some twenty milliseconds of work for short ones, bounded', () => {
    const table: [runTimeMs: number, prefetch: number][] = [
      [50, 1],
      [20, 1],
      [10, 2],
      [3, 7],
      [1, 20],
      [0.2, 100],
      [0.1, 128],
      [0, 128],
    ];
    for (const [runTimeMs, prefetch] of table) expect(prefetchPerSlot(runTimeMs), String(runTimeMs)).to.equal(prefetch);
  });

  it('makes credit of what a worker has not', () => {
    expect(creditOf(worker('w', 4, 0), 0)).to.equal(4);
    expect(creditOf(worker('w', 4, 3), 0)).to.equal(1);
    expect(creditOf(worker('w', 4, 3), 2)).to.equal(9);
    expect(creditOf(worker('w', 4, 99), 2)).to.equal(0);
  });
});

describe('run times', () => {
  it('are learnt from results, the newest counting most', () => {
    const times = new RunTimes();
    expect(times.recent).to.equal(undefined);
    times.observe(10);
    expect(times.recent).to.equal(10);
    for (let results = 0; results < 30; results++) times.observe(100);
    expect(times.recent).to.be.within(99, 100);
    times.observe(1);
    expect(times.recent).to.be.within(79, 81);
  });
});

describe('the cache of function bodies', () => {
  const asked: string[][] = [];
  const store = {
    loadFunctions: (ids: string[]): Promise<(Buffer | undefined)[]> => {
      asked.push(ids);
      return Promise.resolve(ids.map((id) => (id === 'none' ? undefined : Buffer.alloc(Number(id)))));
    },
  };
  beforeEach(() => asked.splice(0));

  it('asks once for a body, and again for one that was not there', async () => {
    const cache = new FunctionCache(store, 1_000);
    expect([...(await cache.load(['10', 'none', '20'])).keys()]).to.deep.equal(['10', '20']);
    const found = await cache.load(['20', '10', 'none']);
    expect([...found].map(([id, body]) => [id, body.length])).to.deep.equal([
      ['20', 20],
      ['10', 10],
    ]);
    expect(asked).to.deep.equal([['10', 'none', '20'], ['none']]);
  });

  it('keeps what was used last within its bytes', async () => {
    const cache = new FunctionCache(store, 1_000);
    await cache.load(['400']);
    await cache.load(['500']);
    await cache.load(['400']);
    await cache.load(['300']);
    asked.splice(0);
    await cache.load(['400', '300']);
    expect(asked).to.deep.equal([]);
    await cache.load(['500']);
    expect(asked).to.deep.equal([['500']]);
  });

  it('hands out a body that is larger than itself', async () => {
    const cache = new FunctionCache(store, 1_000);
    expect((await cache.load(['5000'])).get('5000')).to.have.length(5_000);
    expect((await cache.load(['100', '200'])).size).to.equal(2);
  });
});
