import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Reaped } from '../../bus/taskStore.js';
import { newTask, settlement, StoreFixture } from './support/storeFixture.js';
import { until } from './support/until.js';

const LEASE_MS = 60_000;
/** Far less than a third of a lease, far more than a busy machine keeps a spec waiting. */
const STEP_MS = LEASE_MS / 10;

/** As a monitor does, so often that no gap counts as a standstill; what has been reaped. */
async function reapFor(fixture: StoreFixture, ms: number): Promise<Reaped['tasks']> {
  const tasks: Reaped['tasks'] = [];
  for (let leftMs = ms; leftMs > 0; leftMs -= STEP_MS) {
    await fixture.pass(Math.min(STEP_MS, leftMs));
    tasks.push(...(await fixture.store.reap()).tasks);
  }
  return tasks;
}

describe('leases', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start({ leaseMs: LEASE_MS });
  });
  beforeEach(() => fixture.empty());
  after(() => fixture.stop());

  it('are reaped when they have run out, and not before', async () => {
    expect(await fixture.store.reap()).to.deep.equal({ paused: false, tasks: [] });
    const [task] = await fixture.claimed(newTask());
    expect(await reapFor(fixture, LEASE_MS - STEP_MS)).to.deep.equal([]);
    expect(await reapFor(fixture, STEP_MS)).to.deep.equal([{ taskId: task!.taskId, to: 'queued', attempt: 1 }]);
    expect((await fixture.store.reap()).tasks).to.deep.equal([]);
  });

  it('last as long as they are renewed', async () => {
    const [kept, dropped] = await fixture.claimed(newTask(), newTask());
    for (let renewals = 0; renewals < 4; renewals++) {
      await fixture.pass(LEASE_MS / 3);
      expect(await fixture.store.renew([{ ...kept!, worker: 'w7' }])).to.deep.equal([true]);
    }
    expect((await fixture.store.reap()).tasks.map(({ taskId }) => taskId)).to.deep.equal([dropped!.taskId]);
    expect((await fixture.store.readTask(kept!.taskId))!).to.include({ state: 'running', worker: 'w7' });
  });

  it('can be renewed until somebody has reaped them', async () => {
    const [task] = await fixture.claimed(newTask());
    await fixture.expireLease(task!.taskId);
    expect(await fixture.store.renew([{ ...task!, worker: 'w' }])).to.deep.equal([true]);
    expect((await fixture.store.reap()).tasks).to.deep.equal([]);
  });

  it('are reaped once by two monitors at once', async () => {
    const tasks = await fixture.claimed(...Array.from({ length: 100 }, () => newTask()));
    for (const { taskId } of tasks) await fixture.expireLease(taskId);
    const other = await fixture.another();
    const reaped = await Promise.all([fixture.store.reap(), other.reap(), fixture.store.reap(), other.reap()]);
    expect(reaped.flatMap((one) => one.tasks)).to.have.length(100);
    await other.close();
  });

  it('name the worker in the failure of a task that has no attempts left, and all its interruptions', async () => {
    const task = newTask({ maxAttempts: 2 });
    await fixture.claimed(task);
    await fixture.expireLease(task.taskId);
    await fixture.store.reap();
    const [second] = (await fixture.store.claim('dispatcher-2', 1)).claimed;
    await fixture.store.renew([{ ...second!, worker: 'worker-9' }]);
    await fixture.expireLease(task.taskId);
    const { tasks } = await fixture.store.reap();
    expect(tasks[0]).to.include({ taskId: task.taskId, to: 'failed', attempt: 2 });
    const { failure, state } = (await fixture.store.readTask(task.taskId))!;
    expect(state).to.equal('failed');
    expect(failure).to.deep.equal(tasks[0]!.failure);
    expect(failure!.type).to.equal('WorkerFailure');
    expect(failure!.message).to.contain('worker-9').and.to.contain('(attempts ended by: lease expired, lease expired)');
  });

  it('go with a task that has ended otherwise', async () => {
    const [task] = await fixture.claimed(newTask());
    await fixture.store.settle([settlement(task!)]);
    // A lease that was left behind, as by a crash between two versions of a script.
    await fixture.redis.zadd('{q:0}:leases', 1, task!.taskId);
    expect((await fixture.store.reap()).tasks).to.deep.equal([]);
    expect(await fixture.redis.zcard('{q:0}:leases')).to.equal(0);
    expect((await fixture.store.readTask(task!.taskId))!.state).to.equal('completed');
  });
});

describe('a restart of Redis', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start({ leaseMs: LEASE_MS }, 'always');
  });
  after(() => fixture.stop());

  it('loses no task, and pauses reaping for one lease, so that the living can renew', async () => {
    const [alive, dead] = await fixture.claimed(newTask(), newTask());
    const [queued, delayed, done] = [newTask(), newTask({ delayMs: 3_600_000 }), newTask()];
    const [finished] = await fixture.claimed(done);
    await fixture.store.settle([settlement(finished!, { payload: Buffer.from('kept') })]);
    await fixture.store.submit([queued, delayed]);
    expect(await fixture.store.reap()).to.deep.equal({ paused: false, tasks: [] });

    await fixture.server.kill('SIGKILL');
    await fixture.server.restart();
    await until(() => fixture.connected());
    // As if it had been away for longer than a lease.
    for (const { taskId } of [alive!, dead!]) await fixture.expireLease(taskId);

    expect(await fixture.store.reap()).to.deep.equal({ paused: true, tasks: [] });
    expect(await fixture.store.renew([{ ...alive!, worker: 'w' }])).to.deep.equal([true]);
    const ids = [alive, dead, queued, delayed, done].map((task) => task!.taskId);
    expect(await fixture.store.readStatuses(ids)).to.deep.equal([
      'running',
      'running',
      'queued',
      'delayed',
      'completed',
    ]);
    expect((await fixture.store.readOutcomes([done.taskId]))[0]!.payload.toString()).to.equal('kept');

    expect(await reapFor(fixture, LEASE_MS - STEP_MS)).to.deep.equal([]);
    await fixture.store.renew([{ ...alive!, worker: 'w' }]);
    const tasks = await reapFor(fixture, STEP_MS);
    expect(tasks.map(({ taskId }) => taskId)).to.deep.equal([dead!.taskId]);
    expect((await fixture.store.reap()).paused).to.equal(false);
    expect(await fixture.store.settle([settlement(alive!)])).to.deep.equal(['completed']);
  });

  it('is reported once as lost and once as restored', () => {
    expect(fixture.events).to.deep.equal(['lost', 'restored']);
  });
});

describe('a standstill', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start({ leaseMs: LEASE_MS });
  });
  beforeEach(() => fixture.empty());
  after(() => fixture.stop());

  const epoch = (): string => fixture.shardOf(newTask().taskId).epoch;

  it('of Redis for longer than a lease costs nobody a task who can renew afterwards', async () => {
    const SHORT_LEASE_MS = 1_000;
    const hasty = await fixture.another({ leaseMs: SHORT_LEASE_MS });
    const [alive, dead] = await fixture.claimed(newTask(), newTask());
    expect(await hasty.reap()).to.deep.equal({ paused: false, tasks: [] });
    for (const { taskId } of [alive!, dead!]) await fixture.expireLease(taskId);
    await fixture.server.kill('SIGSTOP');
    await sleep(SHORT_LEASE_MS + 100);
    await fixture.server.kill('SIGCONT');
    expect(await hasty.reap()).to.deep.equal({ paused: true, tasks: [] });
    expect(await fixture.store.renew([{ ...alive!, worker: 'w' }])).to.deep.equal([true]);
    expect((await reapFor(fixture, STEP_MS)).map(({ taskId }) => taskId)).to.deep.equal([dead!.taskId]);
    expect(await fixture.store.settle([settlement(alive!)])).to.deep.equal(['completed']);
    await hasty.close();
  });

  it('of all monitors for more than a third of a lease is one too; a shorter one is not', async () => {
    const [task] = await fixture.claimed(newTask());
    await fixture.store.reap();
    await fixture.pass(LEASE_MS / 3 - STEP_MS);
    await fixture.expireLease(task!.taskId);
    expect(await fixture.store.reap())
      .to.include({ paused: false })
      .and.to.have.property('tasks')
      .of.length(1);
    await fixture.store.claim('dispatcher', 1);
    await fixture.pass(LEASE_MS / 3 + 1);
    await fixture.expireLease(task!.taskId);
    expect(await fixture.store.reap()).to.deep.equal({ paused: true, tasks: [] });
  });

  it('during the pause that follows another begins it anew', async () => {
    const graceMs = async (): Promise<number> => Number(await fixture.redis.hget(epoch(), 'grace'));
    await fixture.store.reap();
    await fixture.pass(LEASE_MS / 3 + 1);
    await fixture.store.reap();
    await reapFor(fixture, LEASE_MS / 2);
    expect(await graceMs()).to.be.within(LEASE_MS / 2 - STEP_MS, LEASE_MS / 2);
    await fixture.pass(LEASE_MS / 3 + 1);
    await fixture.store.reap();
    expect(await graceMs()).to.equal(LEASE_MS);
  });

  it('between any two reaps does not keep leases from being enforced for ever', async () => {
    const [task] = await fixture.claimed(newTask());
    await fixture.store.reap();
    await fixture.expireLease(task!.taskId);
    const paused: boolean[] = [];
    for (let reaps = 0; reaps < 8; reaps++) {
      await fixture.pass(LEASE_MS / 3 + 1);
      paused.push((await fixture.store.reap()).paused);
    }
    expect(paused).to.deep.equal([true, true, true, true, true, false, false, false]);
    expect(await fixture.store.readStatuses([task!.taskId])).to.deep.equal(['queued']);
  });

  it('is not what it takes for Redis’ clock to be set back: no lease outlasts one that begins then', async () => {
    const [task] = await fixture.claimed(newTask());
    await fixture.store.reap();
    const HOUR_MS = 3_600_000;
    await fixture.redis.hincrby(epoch(), 'last', HOUR_MS);
    await fixture.redis.zincrby(fixture.shardOf(task!.taskId).leases, HOUR_MS, task!.taskId);
    expect(await fixture.store.reap()).to.deep.equal({ paused: false, tasks: [] });
    const deadlineMs = Number(await fixture.redis.zscore(fixture.shardOf(task!.taskId).leases, task!.taskId));
    expect(deadlineMs - Date.now()).to.be.within(LEASE_MS - STEP_MS, LEASE_MS);
    expect((await reapFor(fixture, LEASE_MS)).map(({ taskId }) => taskId)).to.deep.equal([task!.taskId]);
  });
});
