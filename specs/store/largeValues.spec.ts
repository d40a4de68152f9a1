import { expect } from 'chai';
import { LARGE_VALUE_BYTES } from '../../bus/redis/largeValues.js';
import { crashed, newTask, settlement, StoreFixture } from './support/storeFixture.js';

/** What goes around Lua must obey the same rules as what goes through it. */
describe('large values', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start({ shards: 2 });
  });
  beforeEach(() => fixture.empty());
  after(() => fixture.stop());

  const large = (fill: string): Buffer => Buffer.alloc(LARGE_VALUE_BYTES, fill);
  const fieldsOf = (taskId: string): Promise<string[]> => fixture.redis.hkeys(fixture.key(taskId));
  const largeFields = async (taskId: string): Promise<string[]> =>
    (await fieldsOf(taskId)).filter((field) => field.startsWith('large_'));

  for (const [size, bytes] of [
    ['the largest small', LARGE_VALUE_BYTES - 1],
    ['the smallest large', LARGE_VALUE_BYTES],
    ['3 MiB of', 3 * 1024 * 1024],
  ] as const) {
    it(`brings ${size} arguments and result through`, async () => {
      const value = Buffer.alloc(bytes, 'abcdefg\r\n');
      const tasks = [newTask({ arguments: value }), newTask(), newTask({ arguments: value })];
      const claimed = await fixture.claimed(...tasks);
      expect(claimed.map((task) => task.arguments.equals(value))).to.deep.equal([true, false, true]);
      const results = claimed.map((task, index) => settlement(task, index === 1 ? {} : { payload: value }));
      expect(await fixture.store.settle(results)).to.deep.equal(['completed', 'completed', 'completed']);
      const outcomes = await fixture.store.readOutcomes(claimed.map(({ taskId }) => taskId));
      expect(outcomes.map((outcome) => outcome?.payload.equals(value))).to.deep.equal([true, false, true]);
      expect((await fixture.store.readTask(claimed[0]!.taskId))?.payload.equals(value)).to.equal(true);
    });
  }

  it('keeps no arguments of a completed task, and those of a failed one', async () => {
    const [good, bad] = await fixture.claimed(newTask({ arguments: large('a') }), newTask({ arguments: large('b') }));
    await fixture.store.settle([settlement(good!), settlement(bad!, { event: 'task.raised', payload: large('e') })]);
    expect(await largeFields(good!.taskId)).to.deep.equal([]);
    expect(await largeFields(bad!.taskId)).to.have.members(['large_args', `large_result:${bad!.fence}`]);
    expect(await fixture.redis.ttl(fixture.key(bad!.taskId))).to.be.greaterThan(3_000);
  });

  it('refuses the large result of an attempt that lost its lease, and keeps nothing of it', async () => {
    const [first] = await fixture.claimed(newTask({ arguments: large('a') }));
    await fixture.store.settle([settlement(first!, crashed())]);
    const second = (await fixture.store.claim('another', 1)).claimed[0]!;
    expect(second.arguments.equals(large('a'))).to.equal(true);
    expect(await fixture.store.settle([settlement(first!, { payload: large('1') })])).to.deep.equal(['stale']);
    expect(await largeFields(first!.taskId)).to.deep.equal(['large_args']);
    expect(await fixture.store.settle([settlement(second, { payload: large('2') })])).to.deep.equal(['completed']);
    expect(await fixture.store.settle([settlement(first!, { payload: large('3') })])).to.deep.equal(['stale']);
    const [outcome] = await fixture.store.readOutcomes([first!.taskId]);
    expect(outcome?.payload.equals(large('2'))).to.equal(true);
  });

  it('lets the first of several results of one attempt stand, large or small', async () => {
    const [one, other] = await fixture.claimed(newTask(), newTask());
    const twice = [settlement(one!, { payload: large('1') }), settlement(one!, { payload: large('2') })];
    expect(await fixture.store.settle(twice)).to.deep.equal(['completed', 'duplicate']);
    expect(await fixture.store.settle([settlement(other!), settlement(other!, { payload: large('2') })])).to.deep.equal(
      ['completed', 'duplicate'],
    );
    const [first, small] = await fixture.store.readOutcomes([one!.taskId, other!.taskId]);
    expect(first?.payload.equals(large('1'))).to.equal(true);
    expect(small?.payload.toString()).to.equal('value');
    expect(await largeFields(other!.taskId)).to.deep.equal([]);
  });

  it('leaves nothing of a result whose task has expired', async () => {
    const [task] = await fixture.claimed(newTask());
    await fixture.redis.del(fixture.key(task!.taskId));
    expect(await fixture.store.settle([settlement(task!, { payload: large('r') })])).to.deep.equal(['stale']);
    expect(await fixture.redis.exists(fixture.key(task!.taskId))).to.equal(0);
  });

  it('leaves a task as it is that is submitted again', async () => {
    const task = newTask({ arguments: large('a') });
    const [claimed] = await fixture.claimed(task);
    expect(await fixture.store.submit([task])).to.deep.equal(['existing']);
    await fixture.store.settle([settlement(claimed!)]);
    expect(await fixture.store.submit([task])).to.deep.equal(['existing']);
    expect(await largeFields(task.taskId)).to.deep.equal([]);
  });

  it('works on a server that has lost its scripts', async () => {
    await fixture.redis.script('FLUSH');
    const [task] = await fixture.claimed(newTask({ arguments: large('a') }));
    await fixture.redis.script('FLUSH');
    expect(await fixture.store.settle([settlement(task!, { payload: large('r') })])).to.deep.equal(['completed']);
  });

  it('says when the server takes no more, and leaves nothing half written', async () => {
    const task = newTask({ arguments: large('a') });
    await fixture.redis.config('SET', 'maxmemory', '1');
    try {
      const error = await fixture.store.submit([task]).then(
        () => undefined,
        (reason: unknown) => reason as { code?: string },
      );
      expect(error?.code).to.equal('STORE_UNAVAILABLE');
    } finally {
      await fixture.redis.config('SET', 'maxmemory', '0');
    }
    expect(await fixture.redis.exists(fixture.key(task.taskId))).to.equal(0);
    expect(await fixture.store.submit([task])).to.deep.equal(['accepted']);
  });

  it('hands out no task beyond the bytes of a claim, and keeps the order', async () => {
    const small = await StoreFixture.start();
    try {
      const tasks = [10, 40_000, 40_000, 10, 40_000].map((bytes) => newTask({ arguments: Buffer.alloc(bytes, 'a') }));
      await small.store.submit(tasks);
      const order: string[][] = [];
      for (let count = 0; count < tasks.length; count += order.at(-1)!.length) {
        order.push((await small.store.claim('d', 10, undefined, 40_005)).claimed.map(({ taskId }) => taskId));
      }
      const ids = tasks.map(({ taskId }) => taskId);
      expect(order).to.deep.equal([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
    } finally {
      await small.stop();
    }
  });
});
