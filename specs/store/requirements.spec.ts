import { expect } from 'chai';
import { newNonce } from '../../bus/nonce.js';
import type { Offer } from '../../bus/requirement.js';
import type { ClaimedTask, NewTask } from '../../bus/taskStore.js';
import { crashed, newTask, settlement, StoreFixture } from './support/storeFixture.js';
import { until } from './support/until.js';

const offer = (credit: number, labels: string[] = [], python = 'cpython-3.11'): Offer => ({
  capabilities: { labels, python },
  credit,
});

describe('tasks that not every worker can run', () => {
  let fixture: StoreFixture;

  before(async () => {
    fixture = await StoreFixture.start({ leaseMs: 3_000, maxRequirements: 3 });
  });
  beforeEach(() => fixture.empty());
  after(() => fixture.stop());

  const submit = async (count: number, more: Partial<NewTask> = {}): Promise<string[]> => {
    const tasks = Array.from({ length: count }, () => newTask(more));
    expect(new Set(await fixture.store.submit(tasks))).to.deep.equal(new Set(['accepted']));
    return tasks.map(({ taskId }) => taskId);
  };
  const claim = async (limit: number, ...offers: Offer[]): Promise<ClaimedTask[]> =>
    (await fixture.store.claim('d', limit, newNonce(), undefined, offers)).claimed;
  const ids = (tasks: ClaimedTask[]): string[] => tasks.map(({ taskId }) => taskId);

  it('are claimed by those that have all that is needed, and by nobody else', async () => {
    const [both] = await submit(1, { requirement: 'eu,gpu' });
    const [python] = await submit(1, { requirement: '@pypy-3.9' });
    expect(await claim(9, offer(9))).to.deep.equal([]);
    expect(await claim(9, offer(9, ['gpu']))).to.deep.equal([]);
    expect(await claim(9, offer(9, ['gpu', 'x', 'eu']))).to.have.length(1);
    expect((await fixture.store.readTask(both!))!.state).to.equal('running');
    const [claimed] = await claim(9, offer(9, [], 'pypy-3.9'));
    expect(claimed).to.include({ taskId: python, requirement: '@pypy-3.9' });
  });

  it('are so too when they had to wait for other tasks first', async () => {
    const [needed] = await fixture.claimed(newTask());
    const [waiting] = await submit(1, { requirement: 'gpu', dependsOn: [needed!.taskId] });
    await fixture.store.settle([settlement(needed!)]);
    const end = { taskId: waiting!, dependency: needed!.taskId, state: 'completed' } as const;
    expect(await fixture.store.resolveDependencies([end])).to.deep.equal([{ to: 'queued' }]);
    expect(await claim(9, offer(9))).to.deep.equal([]);
    expect(ids(await claim(9, offer(9, ['gpu'])))).to.deep.equal([waiting]);
  });

  it('do not keep others waiting, and are counted among those that wait', async () => {
    await submit(3, { requirement: 'gpu', priority: 'high' });
    const plain = await submit(2);
    expect(await fixture.store.queueDepth()).to.equal(5);
    expect(ids(await claim(9, offer(9)))).to.deep.equal(plain);
    expect(await fixture.store.queueDepth()).to.equal(3);
  });

  it('are claimed by the first claim after a new requirement came up', async () => {
    await claim(1, offer(1, ['gpu']));
    for (const requirement of ['gpu', 'gpu@cpython-3.11']) {
      const given = await submit(1, { requirement });
      expect(ids(await claim(1, offer(1, ['gpu'])))).to.deep.equal(given);
    }
  });

  it('give no offer more than its credit, and say for whom each is', async () => {
    await submit(9, { requirement: 'gpu' });
    await submit(9);
    const claimed = await claim(9, offer(2, ['gpu']), offer(3));
    expect(claimed).to.have.length(5);
    expect(claimed.filter((task) => (task.offer ?? 0) === 0)).to.have.length(2);
    for (const task of claimed) if (task.requirement === 'gpu') expect(task.offer ?? 0).to.equal(0);
  });

  it('leave the versatile to what only they can run', async () => {
    await submit(2);
    const gpu = await submit(2, { requirement: 'gpu' });
    await claim(1, offer(0, ['gpu'])); // Without credit it only looks.
    const claimed = await claim(9, offer(2, ['gpu']), offer(2));
    expect(claimed).to.have.length(4);
    expect(ids(claimed.filter((task) => (task.offer ?? 0) === 0))).to.have.members(gpu);
  });

  it('take turns with the others of their priority, none of them starving', async () => {
    await submit(40);
    await submit(40, { requirement: 'gpu' });
    await submit(40, { requirement: 'eu' });
    const got = new Map<string, number>();
    for (let round = 0; round < 30; round++) {
      for (const { requirement = '' } of await claim(2, offer(2, ['gpu', 'eu'])))
        got.set(requirement, (got.get(requirement) ?? 0) + 1);
    }
    for (const requirement of ['', 'gpu', 'eu']) expect(got.get(requirement), requirement).to.be.within(15, 25);
  });

  it('come back into their own queue however they come back', async () => {
    const [taskId = ''] = await submit(1, { requirement: 'gpu', maxAttempts: 9, delayMs: 60_000 });
    const again = async (): Promise<ClaimedTask> => {
      expect(await claim(1, offer(1))).to.deep.equal([]);
      const [task] = await claim(1, offer(1, ['gpu']));
      expect(task?.taskId).to.equal(taskId);
      return task!;
    };
    // Though its requirement was forgotten meanwhile.
    await fixture.redis.del(fixture.shardOf(taskId).requirements);
    await fixture.makeDue(taskId);
    expect(await fixture.store.release([await again()])).to.deep.equal([true]);
    expect(await fixture.store.settle([settlement(await again(), crashed())])).to.deep.equal(['queued']);
    await again();
    await fixture.expireLease(taskId);
    await until(async () => (await fixture.store.reap()).tasks.length === 1);
    const last = await again();
    expect((await fixture.store.readTask(taskId))!.requirement).to.equal('gpu');
    expect(await fixture.store.settle([settlement(last)])).to.deep.equal(['completed']);
  });

  it('are refused when so many requirements are waiting, until some have gone', async () => {
    for (const requirement of ['a', 'b', 'c']) await submit(1, { requirement });
    expect(
      await fixture.store.submit([newTask({ requirement: 'd' }), newTask(), newTask({ requirement: 'a' })]),
    ).to.deep.equal(['refused', 'accepted', 'accepted']);
    expect(await claim(9, offer(9, ['c']))).to.have.length(2);
    const [late] = await submit(1, { requirement: 'd' });
    expect(ids(await claim(9, offer(9, ['d'])))).to.deep.equal([late]);
    // Nothing that was there is lost by it.
    expect(await claim(9, offer(9, ['a', 'b']))).to.have.length(3);
  });

  it('are found again by one that knew of a Redis which has lost its end since', async () => {
    await submit(1, { requirement: 'gpu' });
    expect(await claim(1, offer(1, ['gpu', 'eu']))).to.have.length(1);
    await fixture.empty();
    const [taskId] = await submit(1, { requirement: 'eu' });
    expect(ids(await claim(1, offer(1, ['gpu', 'eu'])))).to.deep.equal([taskId]);
  });
});
