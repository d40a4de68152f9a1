import { expect } from 'chai';
import type { Settlement } from '../../bus/taskStore.js';
import { crashed, newTask, settlement, StoreFixture } from './support/storeFixture.js';

describe('settling', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start();
  });
  beforeEach(() => fixture.empty());
  after(() => fixture.stop());

  const outcome = async (taskId: string): Promise<{ state: string; payload: string } | undefined> => {
    const [found] = await fixture.store.readOutcomes([taskId]);
    return found && { state: found.state, payload: found.payload.toString() };
  };
  const claimAgain = async (): Promise<{ taskId: string; fence: string; attempt: number }> =>
    (await fixture.store.claim('another', 1)).claimed[0]!;

  it('acknowledges a repeated result, and the first stands', async () => {
    const [task] = await fixture.claimed(newTask());
    const first = settlement(task!, { payload: Buffer.from('first') });
    const second = settlement(task!, { event: 'task.raised', payload: Buffer.from('second') });
    expect(await fixture.store.settle([first])).to.deep.equal(['completed']);
    expect(await fixture.store.settle([first, second])).to.deep.equal(['duplicate', 'duplicate']);
    expect(await outcome(task!.taskId)).to.deep.equal({ state: 'completed', payload: 'first' });
  });

  it('settles an attempt once when one batch has it twice', async () => {
    const [task] = await fixture.claimed(newTask());
    expect(await fixture.store.settle([settlement(task!), settlement(task!)])).to.deep.equal([
      'completed',
      'duplicate',
    ]);
  });

  it('refuses a fence that is not the one of the task', async () => {
    const [task] = await fixture.claimed(newTask());
    for (const fence of [
      '1:0000000000000000',
      '2:' + task!.fence.slice(2),
      '',
      task!.fence + ' ',
      task!.fence.slice(0, -1),
    ]) {
      expect(await fixture.store.settle([settlement({ ...task!, fence })])).to.deep.equal(['stale']);
      expect(await fixture.store.renew([{ ...task!, fence, worker: 'w' }])).to.deep.equal([false]);
      expect(await fixture.store.release([{ ...task!, fence }])).to.deep.equal([false]);
    }
    expect(await outcome(task!.taskId)).to.deep.equal({ state: 'running', payload: '' });
  });

  it('refuses a task that does not exist', async () => {
    const nobody = { taskId: newTask().taskId, fence: '1:0' };
    expect(await fixture.store.settle([settlement(nobody)])).to.deep.equal(['stale']);
    expect(await fixture.store.cancel([nobody.taskId])).to.deep.equal([{ cancelled: false, reason: 'unknown' }]);
    expect(await fixture.redis.keys('*')).to.deep.equal([]);
  });

  it('refuses the late result of an attempt that was reaped and claimed again; the second run stands', async () => {
    const [zombie] = await fixture.claimed(newTask());
    await fixture.expireLease(zombie!.taskId);
    await fixture.store.reap();
    expect(await fixture.store.settle([settlement(zombie!)])).to.deep.equal(['stale']);
    const second = await claimAgain();
    expect(await fixture.store.settle([settlement(zombie!, { payload: Buffer.from('late') })])).to.deep.equal([
      'stale',
    ]);
    expect(await fixture.store.renew([{ ...zombie!, worker: 'w' }])).to.deep.equal([false]);
    expect(await fixture.store.settle([settlement(second, { payload: Buffer.from('second') })])).to.deep.equal([
      'completed',
    ]);
    expect(await fixture.store.settle([settlement(zombie!)])).to.deep.equal(['stale']);
    expect(await outcome(second.taskId)).to.deep.equal({ state: 'completed', payload: 'second' });
  });

  it('does not take attempts of one number for each other: a rolled-back file hands it out twice', async () => {
    const [lost] = await fixture.claimed(newTask());
    // What a truncated append-only file leaves: the claim has not happened.
    await fixture.redis.hdel(fixture.key(lost!.taskId), 'fence', 'attempt');
    await fixture.redis.hset(fixture.key(lost!.taskId), 'state', 'queued');
    await fixture.redis.lpush('{q:0}:queue:normal', lost!.taskId);
    const second = await claimAgain();
    expect(second.attempt).to.equal(lost!.attempt);
    expect(await fixture.store.settle([settlement(lost!), settlement(second)])).to.deep.equal(['stale', 'completed']);
  });

  it('refuses the verdict of a dispatcher that a worker is lost, once another one has adopted the attempt', async () => {
    const [task] = await fixture.claimed(newTask());
    const verdict = (lostBy: string): Settlement => ({ ...settlement(task!, crashed()), lostBy });
    expect(await fixture.store.renew([{ ...task!, worker: 'w' }], 'adopter')).to.deep.equal([true]);
    expect(await fixture.store.settle([verdict('dispatcher')])).to.deep.equal(['stale']);
    // Its renewals still count: the attempt is the same. They do not make it its own again.
    expect(await fixture.store.renew([{ ...task!, worker: 'w' }])).to.deep.equal([true]);
    expect(await fixture.store.settle([verdict('dispatcher')])).to.deep.equal(['stale']);
    expect((await fixture.store.readTask(task!.taskId))!).to.include({ state: 'running', attempt: 1 });
    expect(await fixture.store.settle([verdict('adopter')])).to.deep.equal(['queued']);
    const [again] = (await fixture.store.claim('adopter', 1)).claimed;
    // What a worker itself reports needs no dispatcher's name.
    expect(await fixture.store.settle([settlement(again!, crashed())])).to.deep.equal(['queued']);
  });

  it('refuses the result of a cancelled task', async () => {
    const [task] = await fixture.claimed(newTask());
    expect(await fixture.store.cancel([task!.taskId])).to.deep.equal([
      { cancelled: true, from: 'running', fence: task!.fence },
    ]);
    expect(await fixture.store.settle([settlement(task!)])).to.deep.equal(['stale']);
    expect(await fixture.store.renew([{ ...task!, worker: 'w' }])).to.deep.equal([false]);
    expect(await outcome(task!.taskId)).to.deep.equal({ state: 'cancelled', payload: '' });
  });

  it('does not cancel what has ended', async () => {
    const [done, failed, gone] = await fixture.claimed(newTask(), newTask(), newTask());
    await fixture.store.settle([settlement(done!), settlement(failed!, { event: 'task.raised' })]);
    await fixture.store.cancel([gone!.taskId]);
    expect(await fixture.store.cancel([done!.taskId, failed!.taskId, gone!.taskId])).to.deep.equal(
      ['completed', 'failed', 'cancelled'].map((state) => ({ cancelled: false, reason: 'terminal', state })),
    );
  });

  it('gives an unstarted attempt back uncounted, at the head of the queue, and its fence is dead', async () => {
    const first = newTask({ maxAttempts: 1 });
    const [task] = await fixture.claimed(first);
    await fixture.store.submit([newTask()]);
    expect(await fixture.store.release([task!])).to.deep.equal([true]);
    expect(await fixture.store.settle([settlement(task!)])).to.deep.equal(['stale']);
    expect(await fixture.store.renew([{ ...task!, worker: 'w' }])).to.deep.equal([false]);
    expect(await fixture.store.release([task!])).to.deep.equal([false]);
    const again = await claimAgain();
    expect(again).to.include({ taskId: first.taskId, attempt: 1 });
    expect(await fixture.store.settle([settlement(again)])).to.deep.equal(['completed']);
  });

  it('tries an interrupted task again, before younger ones, until its attempts are spent', async () => {
    const task = newTask({ maxAttempts: 3 });
    await fixture.store.submit([task, newTask()]);
    const [first] = (await fixture.store.claim('d', 1)).claimed;
    expect(await fixture.store.settle([settlement(first!, crashed('SIGKILL'))])).to.deep.equal(['queued']);
    const second = await claimAgain();
    expect(second).to.include({ taskId: task.taskId, attempt: 2 });
    await fixture.expireLease(task.taskId);
    expect((await fixture.store.reap()).tasks).to.deep.equal([{ taskId: task.taskId, to: 'queued', attempt: 2 }]);
    const third = await claimAgain();
    expect(third).to.include({ taskId: task.taskId, attempt: 3 });
    expect(await fixture.store.settle([settlement(third, crashed('SIGSEGV'))])).to.deep.equal(['failed']);
    const record = (await fixture.store.readTask(task.taskId))!;
    expect(record.failure).to.deep.equal({
      type: 'ProcessCrashed',
      signal: 'SIGSEGV',
      message: 'the process was ended by SIGSEGV (attempts ended by: SIGKILL, lease expired, SIGSEGV)',
    });
    expect(record.attempt).to.equal(3);
  });

  it('tells how an attempt ended that had an exit code, or neither code nor signal', async () => {
    const [task] = await fixture.claimed(newTask({ maxAttempts: 2 }));
    const exited = { type: 'ProcessCrashed', message: 'exited', exitCode: 7 } as const;
    await fixture.store.settle([settlement(task!, { ...crashed(), failure: exited })]);
    const lost = { type: 'WorkerFailure', message: 'the worker was lost' } as const;
    await fixture.store.settle([settlement(await claimAgain(), { ...crashed(), failure: lost })]);
    const { failure } = (await fixture.store.readTask(task!.taskId))!;
    expect(failure!.message).to.equal('the worker was lost (attempts ended by: exit code 7, WorkerFailure)');
  });

  it('survives an interruption that does not say why, and settles its neighbours', async () => {
    const last = { maxAttempts: 1 };
    const [mute, odd, good] = await fixture.claimed(newTask(last), newTask(last), newTask());
    const silent = settlement(mute!, crashed());
    delete silent.failure;
    // Half a character, as JSON can say it and Lua cannot read it.
    const garbled = settlement(odd!, { ...crashed(), failure: { type: 'ProcessCrashed', message: '\ud800' } });
    const verdicts = await fixture.store.settle([silent, garbled, settlement(good!)]);
    expect(verdicts).to.deep.equal(['failed', 'failed', 'completed']);
    for (const task of [mute, odd]) {
      expect((await fixture.store.readTask(task!.taskId))!.failure!.type).to.equal('WorkerFailure');
    }
  });

  it('drops the lease of what it settles', async () => {
    const tasks = await fixture.claimed(newTask(), newTask(), newTask(), newTask(), newTask());
    expect(await fixture.redis.zcard('{q:0}:leases')).to.equal(5);
    await fixture.store.settle([settlement(tasks[0]!), settlement(tasks[1]!, crashed())]);
    await fixture.store.release([tasks[2]!]);
    await fixture.store.cancel([tasks[3]!.taskId]);
    expect(await fixture.redis.zrange('{q:0}:leases', '0', '-1')).to.deep.equal([tasks[4]!.taskId]);
  });
});
