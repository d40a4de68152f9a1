import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { newTask, raised, retryPolicy, settlement, StoreFixture } from './support/storeFixture.js';
import { idInShard } from './support/taskDriver.js';

describe('submitting and claiming', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start();
  });
  beforeEach(() => fixture.empty());
  after(() => fixture.stop());

  const claimIds = async (limit: number): Promise<string[]> =>
    (await fixture.store.claim('dispatcher', limit)).claimed.map(({ taskId }) => taskId);

  it('takes a task once, however often it is submitted', async () => {
    const task = newTask();
    expect(await fixture.store.submit([task])).to.deep.equal(['accepted']);
    expect(await fixture.store.submit([task, newTask({ taskId: task.taskId, priority: 'high' })])).to.deep.equal([
      'existing',
      'existing',
    ]);
    const twin = newTask();
    expect(await fixture.store.submit([twin, twin])).to.deep.equal(['accepted', 'existing']);
    expect(await claimIds(10)).to.deep.equal([task.taskId, twin.taskId]);
    expect(await claimIds(10)).to.deep.equal([]);
  });

  it('does not run a finished task again when it is submitted again', async () => {
    const task = newTask();
    const [claimed] = await fixture.claimed(task);
    await fixture.store.settle([settlement(claimed!)]);
    expect(await fixture.store.submit([task])).to.deep.equal(['existing']);
    expect(await claimIds(10)).to.deep.equal([]);
  });

  it('hands out a task as it was submitted, byte by byte', async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const task = newTask({ arguments: every, maxAttempts: 7, timeoutMs: 1_234 });
    const [claimed] = await fixture.claimed(task);
    const { taskId, functionId } = task;
    expect(claimed).to.deep.include({ taskId, functionId, attempt: 1, timeoutMs: 1_234 });
    expect(claimed!.arguments.equals(every)).to.equal(true);
    expect(claimed!.fence).to.match(/^1:[0-9a-f]{16}$/);
    await fixture.store.settle([settlement(claimed!, { payload: every, output: every })]);
    expect((await fixture.store.readOutcomes([taskId]))[0]!.payload.equals(every)).to.equal(true);
    expect((await fixture.store.readOutput(taskId))!.equals(every)).to.equal(true);
  });

  it('is in the order of submission, within one batch and across batches', async () => {
    const tasks = Array.from({ length: 20 }, () => newTask());
    await fixture.store.submit(tasks.slice(0, 7));
    await fixture.store.submit(tasks.slice(7));
    const ids = tasks.map(({ taskId }) => taskId);
    expect(await claimIds(5)).to.deep.equal(ids.slice(0, 5));
    expect(await claimIds(100)).to.deep.equal(ids.slice(5));
  });

  it('is in the order of priorities first', async () => {
    const tasks = (['low', 'normal', 'high', 'low', 'high', 'normal'] as const).map((priority) =>
      newTask({ priority }),
    );
    await fixture.store.submit(tasks);
    const byPriority = (['high', 'normal', 'low'] as const).flatMap((priority) =>
      tasks.filter((task) => task.priority === priority).map(({ taskId }) => taskId),
    );
    expect(await claimIds(3)).to.deep.equal(byPriority.slice(0, 3));
    expect(await claimIds(3)).to.deep.equal(byPriority.slice(3));
  });

  it('hands a task to one claimant only', async () => {
    const tasks = Array.from({ length: 300 }, () => newTask());
    await fixture.store.submit(tasks);
    const other = await fixture.another();
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, i) => [fixture.store, other][i % 2]!.claim(`d${i}`, 20)),
    );
    const ids = claims.flatMap(({ claimed }) => claimed.map(({ taskId }) => taskId));
    expect(ids).to.have.length(300);
    expect(new Set(ids)).to.have.property('size', 300);
    await other.close();
  });

  it('never reuses a fence', async () => {
    const tasks = Array.from({ length: 50 }, () => newTask());
    await fixture.store.submit(tasks);
    const fences = new Set<string>();
    for (let round = 0; round < 10; round++) {
      const { claimed } = await fixture.store.claim('d', 50);
      for (const { taskId, fence } of claimed) fences.add(`${taskId} ${fence}`);
      await fixture.store.release(claimed);
    }
    expect(fences).to.have.property('size', 500);
  });

  it('skips and drops what was cancelled in the queue, and still fills the claim', async () => {
    const tasks = Array.from({ length: 10 }, () => newTask());
    const ids = tasks.map(({ taskId }) => taskId);
    await fixture.store.submit(tasks);
    await fixture.store.cancel(ids.slice(0, 6));
    expect(await fixture.store.queueDepth()).to.equal(10);
    expect(await claimIds(3)).to.deep.equal(ids.slice(6, 9));
    expect(await claimIds(3)).to.deep.equal(ids.slice(9));
    expect(await fixture.store.queueDepth()).to.equal(0);
  });

  it('holds a delayed task back until it is due, then queues it and says so', async () => {
    const task = newTask({ delayMs: 1_000 });
    await fixture.store.submit([task]);
    const record = await fixture.store.readTask(task.taskId);
    expect(record!.state).to.equal('delayed');
    expect(record!.dueAtMs! - record!.queuedAtMs).to.equal(1_000);
    expect(await fixture.store.claim('d', 5)).to.deep.equal({ claimed: [], promoted: [] });
    expect(await fixture.store.nextDueMs()).to.be.within(1, 1_000);
    await sleep(1_010);
    expect(await fixture.store.nextDueMs()).to.be.within(-5_000, 0);
    const { claimed, promoted } = await fixture.store.claim('d', 5);
    expect(promoted).to.deep.equal([{ taskId: task.taskId, from: 'delayed' }]);
    expect(claimed.map(({ taskId }) => taskId)).to.deep.equal([task.taskId]);
    expect((await fixture.store.readTask(task.taskId))!.dueAtMs).to.equal(undefined);
    expect(await fixture.store.nextDueMs()).to.equal(undefined);
  });

  it('queues a retrying task again when its back-off is over', async () => {
    const [claimed] = await fixture.claimed(newTask({ retry: retryPolicy({ backoffMs: 60_000 }) }));
    expect(await fixture.store.settle([settlement(claimed!, raised())])).to.deep.equal(['retrying']);
    expect((await fixture.store.claim('d', 1)).claimed).to.deep.equal([]);
    await fixture.makeDue(claimed!.taskId);
    const again = await fixture.store.claim('d', 1);
    expect(again.promoted).to.deep.equal([{ taskId: claimed!.taskId, from: 'retrying' }]);
    expect(again.claimed[0]!.attempt).to.equal(2);
  });

  it('promotes due tasks in their priority', async () => {
    const low = newTask({ priority: 'low', delayMs: 60_000 });
    const high = newTask({ priority: 'high', delayMs: 60_000 });
    await fixture.store.submit([newTask(), low, high]);
    await fixture.makeDue(low.taskId);
    await fixture.makeDue(high.taskId);
    expect((await claimIds(1))[0]).to.equal(high.taskId);
    expect((await claimIds(5))[1]).to.equal(low.taskId);
  });

  it('ignores entries of the queue that have no task', async () => {
    await fixture.redis.lpush('{q:0}:queue:normal', 'nobody');
    const task = newTask();
    await fixture.store.submit([task]);
    expect(await claimIds(1)).to.deep.equal([task.taskId]);
  });

  it('answers an empty batch without asking', async () => {
    expect(await fixture.store.submit([])).to.deep.equal([]);
    expect(await fixture.store.settle([])).to.deep.equal([]);
    expect(await fixture.store.claim('d', 0)).to.deep.equal({ claimed: [], promoted: [] });
  });
});

describe('claiming from several shards', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start({ shards: 3 });
  });
  after(() => fixture.stop());

  it('finds work wherever it is and favours no shard', async () => {
    const tasks = [0, 1, 2].flatMap((shard) =>
      Array.from({ length: 30 }, () => newTask({ taskId: idInShard(fixture, shard) })),
    );
    await fixture.store.submit(tasks);
    const perShard = [0, 0, 0];
    for (let turn = 0; turn < 30; turn++) {
      const { claimed } = await fixture.store.claim('d', 1);
      perShard[fixture.shardOf(claimed[0]!.taskId).index]!++;
    }
    expect(perShard).to.deep.equal([10, 10, 10]);
    expect((await fixture.store.claim('d', 100)).claimed).to.have.length(60);
    expect(await fixture.store.queueDepth()).to.equal(0);
  });

  it('never claims more than the limit, and answers batches in their order', async () => {
    const tasks = Array.from({ length: 60 }, () => newTask());
    await fixture.store.submit(tasks);
    const { claimed } = await fixture.store.claim('d', 50);
    expect(claimed).to.have.length(50);
    const verdicts = await fixture.store.settle(
      claimed.map((task, i) => settlement(task, { event: i % 2 ? 'task.raised' : 'task.succeeded' })),
    );
    expect(verdicts).to.deep.equal(claimed.map((_, i) => (i % 2 ? 'failed' : 'completed')));
    const outcomes = await fixture.store.readOutcomes(claimed.map(({ taskId }) => taskId));
    expect(outcomes.map((outcome) => outcome!.taskId)).to.deep.equal(claimed.map(({ taskId }) => taskId));
  });
});
