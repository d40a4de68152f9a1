import { expect } from 'chai';
import { PlatformError } from '../../bus/errors.js';
import type { TaskStore } from '../../bus/taskStore.js';
import { newTask, rejection, settlement, StoreFixture } from './support/storeFixture.js';
import { until } from './support/until.js';

describe('a store that cannot be reached', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start();
  });
  beforeEach(() => fixture.empty());
  after(() => fixture.stop());

  const unavailable = async (promise: Promise<unknown>): Promise<PlatformError> => {
    const error = await rejection(promise);
    if (!(error instanceof PlatformError)) throw error;
    expect(error.code).to.equal('STORE_UNAVAILABLE');
    return error;
  };

  it('takes its scripts anew after SCRIPT FLUSH', async () => {
    const task = newTask();
    const flushed = async <T>(step: (store: TaskStore) => Promise<T>): Promise<T> => {
      await fixture.redis.script('FLUSH');
      return step(fixture.store);
    };
    expect(await flushed((store) => store.submit([task]))).to.deep.equal(['accepted']);
    const [claimed] = (await flushed((store) => store.claim('d', 1, 'nonce'))).claimed;
    expect(await flushed((store) => store.renew([{ ...claimed!, worker: 'w' }]))).to.deep.equal([true]);
    expect(await flushed((store) => store.release([claimed!]))).to.deep.equal([true]);
    expect(await flushed((store) => store.reap())).to.deep.equal({ paused: false, tasks: [] });
    const [again] = (await flushed((store) => store.claim('d', 1, 'nonce'))).claimed;
    expect(await flushed((store) => store.settle([settlement(again!)]))).to.deep.equal(['completed']);
    expect((await flushed((store) => store.cancel([task.taskId])))[0]).to.include({ cancelled: false });
  });

  it('answers STORE_UNAVAILABLE when Redis has no memory left, and has then done nothing', async () => {
    const [running] = await fixture.claimed(newTask());
    await fixture.redis.config('SET', 'maxmemory', '1');
    const task = newTask();
    try {
      for (const delayMs of [0, 60_000]) await unavailable(fixture.store.submit([{ ...task, delayMs }]));
      await unavailable(fixture.store.settle([settlement(running!)]));
      await unavailable(fixture.store.registerFunction({ name: 'f', payload: Buffer.from('f') }));
    } finally {
      await fixture.redis.config('SET', 'maxmemory', '0');
    }
    expect(await fixture.store.readStatuses([task.taskId, running!.taskId])).to.deep.equal([undefined, 'running']);
    expect(await fixture.store.submit([task])).to.deep.equal(['accepted']);
    expect(await fixture.store.settle([settlement(running!)])).to.deep.equal(['completed']);
    expect((await fixture.store.claim('d', 5)).claimed).to.have.length(1);
  });

  it('passes on what is a fault of ours, not of Redis', async () => {
    await fixture.redis.set(fixture.key(newTask({ taskId: '00000000-0000-4000-8000-000000000000' }).taskId), 'no hash');
    const error = await rejection(fixture.store.readTask('00000000-0000-4000-8000-000000000000'));
    expect(error.message).to.match(/^WRONGTYPE/);
    expect(error).not.to.be.instanceOf(PlatformError);
  });

  it('gives up a Redis that does not answer, within a bound, and the step can be repeated', async function () {
    this.timeout(30_000);
    const task = newTask();
    // A second longer than a command waits, and shorter by as much as a connection over which nothing comes lasts.
    await fixture.redis.call('CLIENT', 'PAUSE', '6000', 'ALL');
    const startedAtMs = performance.now();
    const answers = await Promise.all([unavailable(fixture.store.submit([task])), unavailable(fixture.store.ping())]);
    expect(answers[0].message).to.contain('Redis');
    expect(performance.now() - startedAtMs).to.be.within(1_000, 7_000);
    await until(() => fixture.store.ping());
    // It was done all the same, after the pause: which of the two, only the repetition tells.
    expect(await fixture.store.submit([task])).to.deep.equal(['existing']);
    expect((await fixture.store.claim('d', 5)).claimed).to.have.length(1);
  });

  it('fails every call at once while Redis is down, and works again by itself when it is back', async () => {
    const task = newTask();
    fixture.events.length = 0;
    await fixture.server.kill('SIGKILL');
    await until(() => fixture.events.includes('lost'));
    const ref = { taskId: task.taskId, fence: '1:0' };
    const steps: ((store: TaskStore) => Promise<unknown>)[] = [
      (store) => store.submit([task]),
      (store) => store.claim('d', 1, 'nonce'),
      (store) => store.renew([{ ...ref, worker: 'w' }]),
      (store) => store.settle([settlement(ref)]),
      (store) => store.release([ref]),
      (store) => store.cancel([task.taskId]),
      (store) => store.keepOutput({ taskId: task.taskId, fence: '1:x', output: Buffer.alloc(0) }),
      (store) => store.reap(),
      (store) => store.readStatuses([task.taskId]),
      (store) => store.readOutcomes([task.taskId]),
      (store) => store.readTask(task.taskId),
      (store) => store.readOutput(task.taskId),
      (store) => store.queueDepth(),
      (store) => store.nextDueMs(),
      (store) => store.registerFunction({ name: 'f', payload: Buffer.from('f') }),
      (store) => store.readFunction('f'),
      (store) => store.pythonsNeeded(['f']),
      (store) => store.loadFunctions(['f']),
      (store) => store.readWorkers(),
      (store) => store.forgetWorkers(['w']),
      (store) => store.ping(),
    ];
    const startedAtMs = performance.now();
    for (const step of steps) await unavailable(step(fixture.store));
    // None has waited until a Redis that does not answer is given up.
    expect(performance.now() - startedAtMs).to.be.lessThan(4_000);
    await fixture.server.restart();
    await until(() => fixture.store.ping());
    expect(fixture.events).to.deep.equal(['lost', 'restored']);
    expect(await fixture.store.submit([task])).to.deep.equal(['accepted']);
  });
});
