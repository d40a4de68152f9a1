import { expect } from 'chai';
import { KnownFunctions } from '../../workers/knownFunctions.js';
import { chooseSlot, type Slot } from '../../workers/slotChoice.js';
import { StartLimit } from '../../workers/startLimit.js';
import { TaskQueue, type PoolTask } from '../../workers/poolTask.js';

const slot = (
  outstandingCount: number,
  backlogUs = outstandingCount * 10,
  stalled = false,
  outstandingBytes = 0,
): Slot => ({ outstandingCount, backlogUs, stalled, outstandingBytes });
const short = { expectedUs: 10, bytes: 100 };

describe('the choice of a process for an order', () => {
  it('is an idle one first, for every function', () => {
    const idle = slot(0);
    expect(chooseSlot([slot(1), idle], short)).to.equal(idle);
    expect(chooseSlot([slot(1), idle], { expectedUs: undefined, bytes: 1 << 30 })).to.equal(idle);
  });

  it('is the one with the least work before it, for a short function', () => {
    const least = slot(3, 30);
    expect(chooseSlot([slot(2, 500), least, slot(4, 40)], short)).to.equal(least);
  });

  it('is none for functions unknown or long, and where there is no room', () => {
    expect(chooseSlot([slot(1)], { expectedUs: undefined, bytes: 1 })).to.equal(undefined);
    expect(chooseSlot([slot(1)], { expectedUs: 20_000, bytes: 1 })).to.equal(undefined);
    expect(
      chooseSlot([slot(32), slot(1, Infinity), slot(2, 20, true), slot(2, 3_995), slot(1, 1, false, 1 << 18)], short),
    ).to.equal(undefined);
    expect(chooseSlot<Slot>([], short)).to.equal(undefined);
  });

  it('lays one order ready behind another, no more, for a function of some milliseconds', () => {
    const medium = { expectedUs: 10_000, bytes: 1 };
    const one = slot(1, 10_000);
    expect(chooseSlot([one], medium)).to.equal(one);
    expect(chooseSlot([slot(2, 20_000), slot(1, Infinity), slot(1, 20_000)], medium)).to.equal(undefined);
    expect(chooseSlot([one], short), 'a short one does not wait behind it').to.equal(undefined);
  });

  it('follows the measured run time', () => {
    const functions = new KnownFunctions();
    expect(functions.expectedUs('f')).to.equal(undefined);
    functions.observe('f', 100);
    expect(functions.expectedUs('f')).to.equal(100);
    functions.observe('f', 200);
    expect(functions.expectedUs('f')).to.equal(125);
  });
});

describe('the queue of the pool', () => {
  const task = (arrival: number): PoolTask => ({
    arrival,
    body: Buffer.alloc(0),
    dropped: false,
    alone: false,
    followed: false,
    order: { taskId: String(arrival), fence: '', functionId: '', arguments: Buffer.alloc(0), timeoutMs: 0 },
  });

  it('gives the oldest, takes back the newest, passes over what was dropped', () => {
    const queue = new TaskQueue();
    const tasks = Array.from({ length: 5_000 }, (_, i) => task(i));
    for (const each of tasks) queue.push(each);
    queue.drop(tasks[0]!);
    queue.drop(tasks[4_999]!);
    expect(queue.size).to.equal(4_998);
    expect(queue.pop()?.arrival).to.equal(4_998);
    for (let i = 1; i < 3_000; i++) expect(queue.shift()?.arrival).to.equal(i);
    queue.putBack([tasks[20]!, tasks[10]!]);
    expect([queue.shift()?.arrival, queue.shift()?.arrival, queue.shift()?.arrival]).to.deep.equal([10, 20, 3_000]);
    expect(queue.size).to.equal(4_997 - 3_000);
    while (queue.pop() !== undefined);
    expect([queue.size, queue.peek(), queue.shift()]).to.deep.equal([0, undefined, undefined]);
  });
});

describe('the limit of starts', () => {
  it('lets the first start follow at once, later ones ever slower, and gives up after five', () => {
    const limit = new StartLimit();
    const delays: number[] = [];
    for (let i = 0; i < 8; i++) {
      delays.push(limit.delayMs);
      expect(limit.isExceeded).to.equal(i >= 5);
      limit.failed(i * 100);
    }
    expect(delays).to.deep.equal([0, 100, 200, 400, 800, 1_600, 3_200, 5_000]);
    limit.succeeded();
    expect([limit.delayMs, limit.isExceeded]).to.deep.equal([0, false]);
  });
});
