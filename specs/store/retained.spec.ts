import { expect } from 'chai';
import { recordHead } from '../../bus/outputRecord.js';
import type { ClaimedTask, NewTask, Settlement } from '../../bus/taskStore.js';
import type { TenantUsage } from '../../bus/tenants.js';
import { RedisTenants } from '../../bus/redis/redisTenants.js';
import { crashed, newTask, raised, settlement, StoreFixture } from './support/storeFixture.js';
import { until } from './support/until.js';

/** Of each record, see `retained.lua`. */
const RECORD = 256;

describe('bytes that finished tasks of a tenant keep', function () {
  this.timeout(60_000);
  let fixture: StoreFixture;
  let tenants: RedisTenants;

  before(async () => {
    fixture = await StoreFixture.start();
    tenants = new RedisTenants(fixture.redis, { shards: 1 });
  });
  after(() => fixture.stop());
  beforeEach(() => fixture.empty());

  const task = (more: Partial<NewTask> = {}): NewTask => newTask({ tenant: 'acme', ...more });
  const value = (bytes: number): Partial<Settlement> => ({ payload: Buffer.alloc(bytes, 'v') });
  const limit = (maxRetainedBytes: number, tenant = 'acme'): Promise<void> =>
    tenants.setLimits(tenant, { maxRetainedBytes });
  async function usage(tenant = 'acme'): Promise<TenantUsage> {
    return (await tenants.list()).find((one) => one.tenant === tenant)!.usage;
  }
  const retained = async (): Promise<number> => (await usage()).retainedBytes;

  /** Ends a task of its own with a value of so many bytes. */
  async function end(bytes: number, more: Partial<NewTask> = {}): Promise<string> {
    const [claimed] = await fixture.claimed(task(more));
    await fixture.store.settle([settlement(claimed!, value(bytes))]);
    return claimed!.taskId;
  }
  /** What is there, measured from outside of the scripts. */
  async function measured(ids: string[]): Promise<number> {
    let sum = 0;
    for (const id of ids) {
      const hash = await fixture.redis.hgetallBuffer(fixture.key(id));
      if (Object.keys(hash).length === 0) continue;
      const fields = Object.entries(hash).filter(([name]) =>
        /^(args|large_args|result|failure|large_result:.*)$/.test(name),
      );
      sum += RECORD + (await fixture.redis.strlen(fixture.shardOf(id).outputPrefix + id));
      for (const [, bytes] of fields) sum += bytes.length;
    }
    return sum;
  }
  const present = async (ids: string[]): Promise<boolean[]> =>
    (await fixture.store.readStatuses(ids)).map((status) => status !== undefined);

  it('stay under the cap: the oldest go first, with what they printed, and answer as if they had expired', async () => {
    await limit(10 * (1_000 + RECORD));
    const ids: string[] = [];
    for (let i = 0; i < 30; i++) {
      ids.push(await end(1_000));
      expect(await retained()).to.be.at.most(10 * (1_000 + RECORD));
    }
    expect(await present(ids)).to.deep.equal(ids.map((_, index) => index >= 20));
    expect(await retained()).to.equal(10 * (1_000 + RECORD));
    expect(await fixture.store.readOutcomes([ids[0]!])).to.deep.equal([undefined]);
    expect(await fixture.store.readTask(ids[0]!)).to.equal(undefined);

    const [printing] = await fixture.claimed(task());
    const output = { output: Buffer.alloc(500, 'o'), ...raised() };
    await fixture.store.settle([settlement(printing!, output)]);
    const outputKey = fixture.shardOf(printing!.taskId).outputPrefix + printing!.taskId;
    expect(await fixture.redis.exists(outputKey)).to.equal(1);
    for (let i = 0; i < 10; i++) await end(1_000);
    expect(await fixture.redis.exists(outputKey, fixture.key(printing!.taskId))).to.equal(0);
  });

  it('are bounded also when many end in one step, and large values count', async () => {
    await limit(200_000);
    const claimed = await fixture.claimed(...Array.from({ length: 300 }, () => task()));
    await fixture.store.settle(claimed.map((one) => settlement(one, value(1_000))));
    const ids = claimed.map(({ taskId }) => taskId);
    expect((await present(ids)).filter(Boolean)).to.have.length(Math.floor(200_000 / (1_000 + RECORD)));
    expect(await retained())
      .to.equal(await measured(ids))
      .and.to.be.at.most(200_000);
    const large = await end(150_000);
    expect(await retained())
      .to.equal(await measured([...ids, large]))
      .and.to.be.at.most(200_000);
    const second = await end(150_000);
    expect(await present([large, second])).to.deep.equal([false, true]);
    expect(await retained()).to.equal(150_000 + RECORD);
  });

  it('may be those of one task alone that is over the cap, until the next has ended', async () => {
    await limit(1_000);
    const small = await end(10);
    const huge = await end(5_000);
    expect(await present([small, huge])).to.deep.equal([false, true]);
    const next = await end(10);
    expect(await present([huge, next])).to.deep.equal([false, true]);
    expect(await retained()).to.equal(10 + RECORD);
  });

  it('are counted exactly, whatever becomes of the tasks', async () => {
    await limit(1_000_000);
    const delayed = task({ delayMs: 60_000, arguments: Buffer.alloc(40_000, 'a') });
    const dependency = task();
    const blocked = task({ dependsOn: [dependency.taskId] });
    const [lost, failing, crashing, running, good, retrying] = (await fixture.claimed(
      ...[task({ maxAttempts: 1 }), task(), task({ maxAttempts: 1 }), task(), task(), task()],
    )) as [ClaimedTask, ClaimedTask, ClaimedTask, ClaimedTask, ClaimedTask, ClaimedTask];
    await fixture.store.submit([delayed, dependency, blocked]);
    const ids = [delayed, dependency, blocked, lost, failing, crashing, running, good, retrying].map(
      (one) => one.taskId,
    );
    expect(await retained()).to.equal(0);
    await fixture.store.settle([
      settlement(failing, raised()),
      settlement(crashing, crashed()),
      settlement(good, value(50_000)),
      settlement(retrying, crashed()),
      settlement(good, value(50_000)),
    ]);
    expect(await retained()).to.equal(await measured([failing, crashing, good].map((one) => one.taskId)));
    await fixture.store.cancel([delayed.taskId, dependency.taskId, running.taskId, good.taskId]);
    const gone = { taskId: blocked.taskId, dependency: dependency.taskId, state: 'cancelled' } as const;
    await fixture.store.resolveDependencies([gone]);
    await fixture.store.resolveDependencies([gone]);
    await fixture.store.reap();
    await fixture.redis.hset(fixture.shardOf(lost.taskId).epoch, { grace: 0, gaps: 100 });
    await fixture.expireLease(lost.taskId);
    expect((await fixture.store.reap()).tasks).to.have.length(1);
    const output = recordHead(1);
    expect(await fixture.store.keepOutput({ ...running, output })).to.equal(true);
    const ended = ids.filter((id) => id !== retrying.taskId);
    expect(await retained()).to.equal(await measured(ended));
    expect(await retained()).to.be.greaterThan(90_000 + 8 * RECORD);
    expect(await fixture.redis.zcard('{q:0}:retained:acme')).to.equal(8);
  });

  it('are not those of tasks that have expired by themselves; those kept for dependents count on', async () => {
    await limit(1_000_000);
    const shortLived = await end(1_000, { resultTtlSeconds: 60 });
    const needed = await end(2_000, { resultTtlSeconds: 60 });
    const longLived = await end(4_000);
    const dependent = task({ dependsOn: [needed] });
    await fixture.store.submit([dependent]);
    await fixture.store.awaitDependencies([{ dependency: needed, taskId: dependent.taskId }]);
    // As if a minute had passed: the one is gone, and the time that was noted for the other one is over.
    const { redis } = fixture;
    expect(await redis.ttl(fixture.key(needed))).to.be.greaterThan(60);
    await redis.pexpire(fixture.key(shortLived), 1);
    for (const entry of await redis.zrange('{q:0}:retained-until:acme', '0', '-1')) {
      if (!entry.startsWith(longLived)) await redis.zadd('{q:0}:retained-until:acme', 'XX', 1, entry);
    }
    await until(async () => !(await present([shortLived]))[0]);
    expect(await present([shortLived, needed, longLived])).to.deep.equal([false, true, true]);
    expect(await retained()).to.equal(6_000 + 2 * RECORD);
  });

  it('concern nobody else, and cost nothing where there is no cap', async () => {
    await limit(1_000);
    const others: string[] = [];
    for (const tenant of ['zoo', 'zoo']) others.push(await end(5_000, { tenant }));
    const ofDefault = await fixture.claimed(newTask(), newTask());
    await fixture.store.settle(ofDefault.map((one) => settlement(one, value(5_000))));
    others.push(...ofDefault.map(({ taskId }) => taskId));
    await end(900);
    await end(900);
    expect(await present(others)).to.deep.equal([true, true, true, true]);
    expect(await fixture.redis.keys('*retained*')).to.have.members([
      '{q:0}:retained:acme',
      '{q:0}:retained-until:acme',
    ]);
  });

  it('are forgotten when the cap is taken away; a cap for all holds for each that has none of its own', async () => {
    await limit(10_000);
    const before = await end(1_000);
    await limit(0);
    expect(await retained()).to.equal(0);
    expect(await fixture.redis.keys('*retained*')).to.deep.equal([]);
    await tenants.setLimits(undefined, { maxRetainedBytes: 2_000 });
    const free = [await end(5_000), await end(5_000)];
    const bound = [await end(1_500, { tenant: 'zoo' }), await end(1_500, { tenant: 'zoo' })];
    expect(await present([before, ...free, ...bound])).to.deep.equal([true, true, true, false, true]);
  });

  it('follow a cap that is lowered', async () => {
    await limit(100_000);
    const ids = [await end(1_000), await end(1_000), await end(1_000)];
    await limit(1_000 + RECORD);
    expect(await present(ids)).to.deep.equal([false, false, true]);
  });

  it('and what waits and runs are counted right after Redis was killed and has come back', async () => {
    await limit(5 * (1_000 + RECORD));
    const ids: string[] = [];
    const work = (async () => {
      for (;;) ids.push(await end(1_000));
    })().catch(() => undefined);
    await until(() => Promise.resolve(expect(ids.length).to.be.greaterThan(20)));
    await fixture.synced();
    await fixture.server.kill('SIGKILL');
    await work;
    await fixture.server.restart();
    await until(() => fixture.connected());
    const keys = await fixture.redis.keys('{q:0}:task:*');
    const states = { completed: 0, queued: 0, running: 0 };
    for (const key of keys) states[(await fixture.redis.hget(key, 'state')) as keyof typeof states]++;
    expect(states.completed).to.equal(5);
    const { waiting, running, retainedBytes } = await usage();
    expect({ waiting, running, retainedBytes }).to.deep.equal({
      ...{ waiting: states.queued, running: states.running, retainedBytes: 5 * (1_000 + RECORD) },
    });
    // And it goes on; what was queued is out of the way.
    await fixture.store.claim('dispatcher', 10);
    for (let i = 0; i < 6; i++) await end(1_000);
    expect(await retained()).to.equal(5 * (1_000 + RECORD));
  });
});
