import { expect } from 'chai';
import { DependencyResolver } from '../../bus/dependencyResolver.js';
import type { NewTask } from '../../bus/taskStore.js';
import { newTask, raised, settlement, StoreFixture } from './support/storeFixture.js';

describe('tasks that depend on others, in the store', () => {
  let fixture: StoreFixture;
  let errors: unknown[];
  let queued: number;
  let failed: string[];
  let resolver: DependencyResolver;
  before(async () => {
    fixture = await StoreFixture.start({ shards: 3, resultTtlSeconds: 600 });
  });
  beforeEach(async () => {
    await fixture.empty();
    errors = [];
    queued = 0;
    failed = [];
    resolver = new DependencyResolver({
      store: fixture.store,
      transition: () => undefined,
      queued: (count) => (queued += count),
      settled: (tasks) => failed.push(...tasks.map(({ taskId }) => taskId)),
      onError: (error) => errors.push(error),
    });
  });
  afterEach(() => expect(errors).to.deep.equal([]));
  after(() => fixture.stop());

  const stateOf = async ({ taskId }: { taskId: string }): Promise<string> =>
    String((await fixture.store.readStatuses([taskId]))[0]);
  /** As if the monitor had not looked for long. */
  const forgetLooks = async (): Promise<void> => {
    for (const key of await fixture.redis.keys('*:blocked'))
      for (const id of await fixture.redis.zrange(key, '0', '-1')) await fixture.redis.zadd(key, 1, id);
  };
  const sweep = async (): Promise<void> => {
    await forgetLooks();
    await resolver.sweep();
  };
  const submit = async (...tasks: NewTask[]): Promise<void> => {
    await fixture.store.submit(tasks);
    await resolver.accepted(tasks);
  };

  it('are not claimed before all of those have completed', async () => {
    const [a, b] = await fixture.claimed(newTask(), newTask());
    const waiting = newTask({ dependsOn: [a!.taskId, b!.taskId] });
    await submit(waiting);
    expect((await fixture.store.claim('d', 5)).claimed).to.deep.equal([]);
    const [first] = await fixture.store.settle([settlement(a!)]);
    expect(first).to.deep.equal({ state: 'completed', dependents: [waiting.taskId] });
    const end = { taskId: waiting.taskId, dependency: a!.taskId, state: 'completed' } as const;
    expect(await fixture.store.resolveDependencies([end, end])).to.deep.equal([undefined, undefined]);
    await fixture.store.settle([settlement(b!)]);
    const other = { ...end, dependency: b!.taskId };
    expect(await fixture.store.resolveDependencies([other, other])).to.deep.equal([{ to: 'queued' }, undefined]);
    const [claimed] = (await fixture.store.claim('d', 5)).claimed;
    expect(claimed).to.include({ taskId: waiting.taskId });
    expect(claimed!.dependsOn).to.deep.equal([a!.taskId, b!.taskId]);
    expect((await fixture.redis.keys('*:unmet:*')).concat(await fixture.redis.keys('*:dependents:*'))).to.deep.equal(
      [],
    );
  });

  it('are found by the sweep when their API died before it told what they wait for', async () => {
    const [a] = await fixture.claimed(newTask());
    const waiting = newTask({ dependsOn: [a!.taskId] });
    await fixture.store.submit([waiting]);
    await sweep();
    expect(await stateOf(waiting)).to.equal('blocked');
    expect(await fixture.store.settle([settlement(a!)])).to.deep.equal([
      { state: 'completed', dependents: [waiting.taskId] },
    ]);
  });

  it('are found by the sweep when the dispatcher died between recording an end and telling them', async () => {
    const tasks = await fixture.claimed(...Array.from({ length: 100 }, () => newTask()));
    const waiting = newTask({ dependsOn: tasks.map(({ taskId }) => taskId) });
    const next = newTask({ dependsOn: [waiting.taskId] });
    await submit(waiting, next);
    await fixture.store.settle(tasks.map((task) => settlement(task)));
    for (let round = 0; round < 20 && (await stateOf(waiting)) === 'blocked'; round++) await sweep();
    expect([await stateOf(waiting), await stateOf(next), queued]).to.deep.equal(['queued', 'blocked', 1]);
  });

  it('fail with all that depend on them when one fails, is cancelled, or has expired', async () => {
    const [a, b, c] = await fixture.claimed(newTask(), newTask(), newTask());
    const chains = [a, b, c].map((task) => {
      const first = newTask({ dependsOn: [task!.taskId] });
      return [first, newTask({ dependsOn: [first.taskId] })] as const;
    });
    await submit(...chains.flat());
    await fixture.store.settle([settlement(a!, raised())]);
    await fixture.store.cancel([b!.taskId]);
    await fixture.redis.del(fixture.key(c!.taskId));
    await sweep();
    for (const task of chains.flat()) expect(await stateOf(task)).to.equal('failed');
    expect(failed).to.have.members(chains.flat().map(({ taskId }) => taskId));
    const messages = await Promise.all(
      chains.map(async ([first]) => (await fixture.store.readTask(first.taskId))!.failure!.message),
    );
    expect(messages.map((text) => text.split(' it depends on, ')[1])).to.deep.equal([
      'failed',
      'was cancelled',
      'is not there any more: its result has expired',
    ]);
  });

  it('wait on for their delay', async () => {
    const [a] = await fixture.claimed(newTask());
    const waiting = newTask({ dependsOn: [a!.taskId], delayMs: 60_000 });
    await submit(waiting);
    await fixture.store.settle([settlement(a!)]);
    await sweep();
    const record = (await fixture.store.readTask(waiting.taskId))!;
    expect(record.state).to.equal('delayed');
    expect(record.dueAtMs! - record.queuedAtMs).to.equal(60_000);
  });

  it('are cancelled without a trace', async () => {
    const [a] = await fixture.claimed(newTask());
    const waiting = newTask({ dependsOn: [a!.taskId] });
    const next = newTask({ dependsOn: [waiting.taskId] });
    await submit(waiting, next);
    const [verdict] = await fixture.store.cancel([waiting.taskId]);
    expect(verdict).to.deep.equal({ cancelled: true, from: 'blocked', fence: '', dependents: [next.taskId] });
    await fixture.store.settle([settlement(a!)]);
    await sweep();
    expect([await stateOf(waiting), await stateOf(next)]).to.deep.equal(['cancelled', 'failed']);
    expect(await fixture.redis.keys('*:unmet:*')).to.deep.equal([]);
    expect((await fixture.redis.keys('*:blocked')).length).to.equal(0);
  });

  it('keep what they need for as long as any result is kept, whatever it says itself', async () => {
    const brief = { resultTtlSeconds: 5 };
    const [early, late] = await fixture.claimed(newTask(brief), newTask(brief));
    await fixture.store.settle([settlement(early!)]);
    await submit(newTask({ dependsOn: [early!.taskId, late!.taskId] }));
    await fixture.store.settle([settlement(late!)]);
    for (const { taskId } of [early!, late!])
      expect(await fixture.redis.ttl(fixture.key(taskId))).to.be.within(595, 600);
  });
});
