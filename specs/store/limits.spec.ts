import { expect } from 'chai';
import type { NewTask } from '../../bus/taskStore.js';
import type { TenantLimits, TenantUsage } from '../../bus/tenants.js';
import { RedisTaskLists } from '../../bus/redis/redisTaskLists.js';
import { RedisTenants } from '../../bus/redis/redisTenants.js';
import { crashed, newTask, raised, retryPolicy, settlement, StoreFixture } from './support/storeFixture.js';

const ARGUMENTS = Buffer.alloc(100, 'x');

describe('limits of tenants', function () {
  this.timeout(60_000);
  let fixture: StoreFixture;
  let tenants: RedisTenants;

  before(async () => {
    fixture = await StoreFixture.start();
    tenants = new RedisTenants(fixture.redis, { shards: 1 });
  });
  after(() => fixture.stop());
  beforeEach(() => fixture.empty());

  const task = (more: Partial<NewTask> = {}): NewTask => newTask({ tenant: 'acme', arguments: ARGUMENTS, ...more });
  const limit = (limits: TenantLimits, tenant: string | undefined = 'acme'): Promise<void> =>
    tenants.setLimits(tenant, limits);
  async function usage(tenant = 'acme'): Promise<TenantUsage | undefined> {
    await tenants.setLimits(tenant, {});
    return (await tenants.list()).find((one) => one.tenant === tenant)?.usage;
  }

  it('refuse what is too much, whole, and take it when there is room again', async () => {
    await limit({ maxWaiting: 5 });
    const three = [task(), task(), task()];
    expect(await fixture.store.submit(three)).to.deep.equal(['accepted', 'accepted', 'accepted']);
    const more = [task(), task(), task()];
    expect(await fixture.store.submit(more)).to.deep.equal(['tooMany', 'tooMany', 'tooMany']);
    expect(await fixture.store.readStatuses(more.map(({ taskId }) => taskId))).to.deep.equal([
      ...[undefined, undefined, undefined],
    ]);
    // A repeat finds what is there, also at the limit.
    expect(await fixture.store.submit(three)).to.deep.equal(['existing', 'existing', 'existing']);
    expect(await fixture.store.submit([...three, task(), task()])).to.include('accepted');
    expect(await fixture.store.submit([task()])).to.deep.equal(['tooMany']);
    await fixture.store.claim('dispatcher', 3);
    expect(await fixture.store.submit(more)).to.deep.equal(['accepted', 'accepted', 'accepted']);
    expect(await usage()).to.include({ waiting: 5, waitingBytes: 500, running: 3 });
    // Others, and tasks of no tenant, are not concerned.
    expect(await fixture.store.submit([task({ tenant: 'zoo' }), newTask()])).to.deep.equal(['accepted', 'accepted']);
  });

  it('hold for a request that is written in parts as for one', async () => {
    await limit({ maxWaiting: 10 });
    const request = { unwritten: 11, unwrittenBytes: 1_100 };
    expect(await fixture.store.submit([task({ request })])).to.deep.equal(['tooMany']);
    expect(await fixture.store.submit([task({ request: { ...request, unwritten: 10 } })])).to.deep.equal(['accepted']);
  });

  it('refuse each request by itself, of those that are written in one step', async () => {
    await limit({ maxWaiting: 5, maxWaitingBytes: 600 });
    const request = (tasks: number, bytes = 100): NewTask[] => {
      const whole = { unwritten: tasks, unwrittenBytes: tasks * bytes };
      return Array.from({ length: tasks }, (_, i) =>
        task({ request: whole, priority: i % 2 === 0 ? 'normal' : 'low', arguments: Buffer.alloc(bytes) }),
      );
    };
    const batch = [...request(6), ...request(2), ...request(1, 500), ...request(4), ...request(3), task()];
    expect(await fixture.store.submit(batch)).to.deep.equal([
      // Not even its last runs, which would fit by themselves.
      ...Array<string>(6).fill('tooMany'),
      ...['accepted', 'accepted', 'tooLarge'],
      ...Array<string>(4).fill('tooMany'),
      ...['accepted', 'accepted', 'accepted', 'tooMany'],
    ]);
  });

  it('are never passed by many requests at once', async () => {
    await limit({ maxWaiting: 10 });
    const verdicts = await Promise.all(Array.from({ length: 50 }, () => fixture.store.submit([task()])));
    expect(verdicts.flat().filter((verdict) => verdict === 'accepted')).to.have.length(10);
  });

  it('count bytes of arguments, also of large ones', async () => {
    await limit({ maxWaitingBytes: 100_000 });
    const large = task({ arguments: Buffer.alloc(60_000, 'y') });
    expect(await fixture.store.submit([large])).to.deep.equal(['accepted']);
    expect(await fixture.store.submit([task({ arguments: Buffer.alloc(60_000) })])).to.deep.equal(['tooLarge']);
    expect((await usage())?.waitingBytes).to.equal(60_000);
    const { claimed } = await fixture.store.claim('dispatcher', 1);
    expect((await usage())?.waitingBytes).to.equal(0);
    await fixture.store.release(claimed);
    expect((await usage())?.waitingBytes).to.equal(60_000);
  });

  it('let a tenant run so many tasks and no more, in whichever queue they are, and the next when one ends', async () => {
    await limit({ maxRunning: 2 });
    await fixture.store.submit([
      ...[task(), task({ priority: 'high' }), task(), task({ requirement: 'gpu' })],
      ...[task({ tenant: 'zoo' }), newTask()],
    ]);
    const offers = [{ capabilities: { labels: ['gpu'], python: '' }, credit: 10 }];
    const claim = async () => (await fixture.store.claim('dispatcher', 10, undefined, undefined, offers)).claimed;
    const claimed = await claim();
    expect(claimed).to.have.length(4);
    expect(await claim()).to.have.length(0);
    const own: typeof claimed = [];
    for (const one of claimed) if ((await fixture.store.readTask(one.taskId))?.tenant === 'acme') own.push(one);
    expect(own).to.have.length(2);
    await fixture.store.settle([settlement(own[0]!)]);
    expect(await claim()).to.have.length(1);
    expect(await claim()).to.have.length(0);
    await fixture.store.cancel([own[1]!.taskId]);
    expect(await claim()).to.have.length(1);
    expect((await usage())?.running).to.equal(2);
  });

  it('are told by a claim that leaves tasks because of them, and only then', async () => {
    const holdsBack = async () => (await fixture.store.claim('dispatcher', 10)).holdsBack;
    await limit({ maxRunning: 1 });
    await fixture.store.submit([newTask(), task({ tenant: 'zoo' })]);
    expect(await holdsBack()).to.equal(undefined);
    const [first] = await fixture.claimed(task());
    expect(await holdsBack()).to.equal(undefined);
    const second = task();
    await fixture.store.submit([second]);
    expect(await holdsBack()).to.equal(true);
    // Also when nothing of it waits for its turn.
    expect(await holdsBack()).to.equal(true);
    await fixture.store.settle([settlement(first!)]);
    const { claimed, ...rest } = await fixture.store.claim('dispatcher', 10);
    expect(claimed.map(({ taskId }) => taskId)).to.deep.equal([second.taskId]);
    expect(rest).to.deep.equal({ promoted: [] });
  });

  it('leave tasks of a held tenant counted as queued, each once', async () => {
    const lists = new RedisTaskLists(fixture.redis, { shards: 1 });
    const depths = async () => [(await lists.countTasks()).queued.normal, await fixture.store.queueDepth()];
    await limit({ maxRunning: 1 });
    await fixture.store.submit([task(), task(), task()]);
    await fixture.store.claim('dispatcher', 10);
    await fixture.store.claim('dispatcher', 10);
    expect(await fixture.redis.hkeys('{q:0}:held')).to.deep.equal(['acme']);
    expect(await depths()).to.deep.equal([2, 2]);
    for (let i = 0; i < 3; i++) {
      await fixture.store.submit([task()]);
      expect(await depths()).to.deep.equal([3 + i, 3 + i]);
      expect((await fixture.store.claim('dispatcher', 10)).claimed).to.have.length(0);
    }
    expect(await fixture.redis.hget('{q:0}:held', 'acme')).to.equal('{q:0}:queue:normal\nacme/\n');
    expect(await depths()).to.deep.equal([5, 5]);
  });

  it('let a held tenant go on when its limit is raised, or removed', async () => {
    await limit({ maxRunning: 1 });
    await fixture.store.submit([task(), task(), task()]);
    expect((await fixture.store.claim('dispatcher', 10)).claimed).to.have.length(1);
    expect((await fixture.store.claim('dispatcher', 10)).claimed).to.have.length(0);
    await limit({ maxRunning: 2 });
    expect((await fixture.store.claim('dispatcher', 10)).claimed).to.have.length(1);
    await limit({ maxRunning: 0 });
    expect((await fixture.store.claim('dispatcher', 10)).claimed).to.have.length(1);
  });

  it('are those for all where a tenant has none of its own', async () => {
    await tenants.setLimits(undefined, { maxWaiting: 1 });
    await limit({ maxWaiting: 2 }, 'zoo');
    expect(await fixture.store.submit([task(), task()])).to.deep.equal(['tooMany', 'tooMany']);
    expect(await fixture.store.submit([task({ tenant: 'zoo' }), task({ tenant: 'zoo' })])).to.include('accepted');
  });

  it('count exactly, whatever becomes of the tasks', async () => {
    const dependency = task();
    await fixture.store.submit([dependency]);
    const batch = [
      ...[task(), task(), task(), task({ retry: retryPolicy({ maxRetries: 3 }) }), task({ maxAttempts: 1 })],
      ...[task({ delayMs: 60_000 }), task({ delayMs: 60_000 }), task({ dependsOn: [dependency.taskId] })],
    ];
    await fixture.store.submit(batch);
    expect(await usage()).to.include({ waiting: 9, waitingBytes: 900, running: 0 });
    const { claimed } = await fixture.store.claim('dispatcher', 10);
    expect(await usage()).to.include({ waiting: 3, waitingBytes: 300, running: 6 });
    const of = (one: NewTask) => claimed.find(({ taskId }) => taskId === one.taskId)!;
    const [success, failing, crashing, retrying, crashingOnce, delayed, , blocked] = batch as [
      ...[NewTask, NewTask, NewTask, NewTask, NewTask, NewTask, NewTask, NewTask],
    ];
    await fixture.store.settle([
      settlement(of(success)),
      settlement(of(failing), raised()),
      settlement(of(crashing), crashed()),
      settlement(of(retrying), raised()),
      settlement(of(crashingOnce), crashed()),
      settlement(of(success)),
    ]);
    expect(await usage()).to.include({ waiting: 5, waitingBytes: 500, running: 1 });
    await fixture.store.cancel([delayed.taskId, dependency.taskId, success.taskId]);
    expect(await usage()).to.include({ waiting: 4, waitingBytes: 400, running: 0 });
    const end = { taskId: blocked.taskId, dependency: dependency.taskId, state: 'cancelled' } as const;
    await fixture.store.resolveDependencies([end]);
    await fixture.store.resolveDependencies([end]);
    expect(await usage()).to.include({ waiting: 3, waitingBytes: 300, running: 0 });
    const again = (await fixture.store.claim('dispatcher', 10)).claimed;
    await fixture.store.reap();
    await fixture.redis.hset(fixture.shardOf(crashing.taskId).epoch, { grace: 0, gaps: 100 });
    for (const { taskId } of again) await fixture.expireLease(taskId);
    await fixture.store.reap();
    expect(await usage()).to.include({ waiting: 3, waitingBytes: 300, running: 0 });
  });
});
