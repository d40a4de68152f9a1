import { expect } from 'chai';
import fc from 'fast-check';
import type { RetryPolicy, TaskRecord } from '../../bus/taskStore.js';
import { retryDelayMs } from '../simulation/retryModel.js';
import { crashed, newTask, raised, retryPolicy, settlement, StoreFixture } from './support/storeFixture.js';

describe('retrying what raised an exception', () => {
  let fixture: StoreFixture;
  let random = 0;
  before(async () => {
    fixture = await StoreFixture.start({ random: () => random });
  });
  beforeEach(async () => {
    random = 0;
    await fixture.empty();
  });
  after(() => fixture.stop());

  const claim = async (): Promise<{ taskId: string; fence: string }> => (await fixture.store.claim('d', 1)).claimed[0]!;
  const record = async (taskId: string): Promise<TaskRecord> => (await fixture.store.readTask(taskId))!;

  /** Raises once under the policy; what became of the task. */
  async function raiseOnce(policy: Partial<RetryPolicy>, exception?: string, bases?: string[]): Promise<string> {
    const [task] = await fixture.claimed(newTask({ retry: retryPolicy(policy) }));
    return (await fixture.store.settle([settlement(task!, raised(exception, bases))]))[0] as string;
  }

  it('tries again as often as the policy says, then the last exception is the answer', async () => {
    const [task] = await fixture.claimed(newTask({ maxAttempts: 1, retry: retryPolicy({ maxRetries: 2 }) }));
    let attempt: { taskId: string; fence: string } = task!;
    for (const retries of [1, 2]) {
      expect(await fixture.store.settle([settlement(attempt, raised())])).to.deep.equal(['retrying']);
      expect(await record(task!.taskId)).to.include({ state: 'retrying', retries, attempt: retries });
      await fixture.makeDue(task!.taskId);
      attempt = await claim();
    }
    const last = { ...raised(), payload: Buffer.from('the last') };
    expect(await fixture.store.settle([settlement(attempt, last)])).to.deep.equal(['failed']);
    const ended = await record(task!.taskId);
    expect(ended).to.include({ state: 'failed', retries: 2, attempt: 3 });
    expect(ended.payload.toString()).to.equal('the last');
    expect(ended.history.at(-1)!.event).to.equal('task.raised');
  });

  it('acknowledges a repeated report of a retried attempt without counting it again', async () => {
    const [task] = await fixture.claimed(newTask({ retry: retryPolicy({ maxRetries: 5 }) }));
    expect(await fixture.store.settle([settlement(task!, raised())])).to.deep.equal(['retrying']);
    expect(await fixture.store.settle([settlement(task!, raised())])).to.deep.equal(['stale']);
    expect((await record(task!.taskId)).retries).to.equal(1);
  });

  it('keeps retries and interruptions apart', async () => {
    const [task] = await fixture.claimed(newTask({ maxAttempts: 2, retry: retryPolicy({ maxRetries: 2 }) }));
    const verdicts: string[] = [];
    let attempt: { taskId: string; fence: string } = task!;
    for (const ending of [raised(), crashed(), raised(), crashed()]) {
      verdicts.push((await fixture.store.settle([settlement(attempt, ending)]))[0] as string);
      await fixture.makeDue(task!.taskId);
      attempt = (await fixture.store.claim('d', 1)).claimed[0] ?? attempt;
    }
    expect(verdicts).to.deep.equal(['retrying', 'queued', 'retrying', 'failed']);
    expect((await record(task!.taskId)).attempt).to.equal(4);
  });

  it('does not count retries when leases run out', async () => {
    const [task] = await fixture.claimed(newTask({ maxAttempts: 1, retry: retryPolicy() }));
    await fixture.store.settle([settlement(task!, raised())]);
    await fixture.makeDue(task!.taskId);
    await claim();
    await fixture.expireLease(task!.taskId);
    expect((await fixture.store.reap()).tasks).to.deep.include({ ...(await reapedFailure(task!.taskId)) });
  });

  const reapedFailure = async (taskId: string): Promise<object> => {
    const { failure } = await record(taskId);
    return { taskId, to: 'failed', attempt: 2, failure };
  };

  it('means any Exception where no names are given, and nothing that is none', async () => {
    expect(await raiseOnce({}, 'KeyError', ['KeyError', 'LookupError', 'Exception', 'BaseException'])).to.equal(
      'retrying',
    );
    expect(await raiseOnce({}, 'SystemExit', ['SystemExit', 'BaseException'])).to.equal('failed');
    expect(await raiseOnce({}, 'Exception', ['mine.Exception', 'BaseException'])).to.equal('failed');
  });

  it('knows exceptions by the names of their classes and of those they derive from, bare or with the module', async () => {
    const bases = ['app.errors.Busy', 'ConnectionError', 'OSError', 'Exception'];
    for (const name of ['Busy', 'app.errors.Busy', 'ConnectionError', 'OSError', 'Exception']) {
      expect(await raiseOnce({ on: ['KeyError', name] }, 'Busy', bases), name).to.equal('retrying');
    }
    for (const name of ['errors.Busy', 'other.Busy', 'Bus', 'app', 'ConnectionErrors', '']) {
      expect(await raiseOnce({ on: [name] }, 'Busy', bases), name).to.equal('failed');
    }
  });

  it('takes no failure for an exception that the function did not raise', async () => {
    const [task] = await fixture.claimed(newTask({ retry: retryPolicy({ on: ['Timeout', 'Exception'] }) }));
    const timeout = { event: 'task.raised', failure: { type: 'Timeout', message: 'too long' } } as const;
    expect(await fixture.store.settle([settlement(task!, timeout)])).to.deep.equal(['failed']);
  });

  it('waits as long as the policy and the dice say, and tells when and why', async () => {
    const policy = fc.record({
      maxRetries: fc.constant(5),
      backoffMs: fc.integer({ min: 0, max: 10_000 }),
      backoffFactor: fc.double({ min: 1, max: 1000, noNaN: true }),
      maxBackoffMs: fc.integer({ min: 0, max: 1_000_000_000 }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const thrown = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    await fc.assert(
      fc.asyncProperty(policy, fc.integer({ min: 0, max: 4 }), thrown, async (retry, retries, dice) => {
        random = dice;
        await fixture.empty();
        const [task] = await fixture.claimed(newTask({ retry }));
        await fixture.redis.hset(fixture.key(task!.taskId), 'retries', retries);
        await fixture.store.settle([settlement(task!, raised('Busy'))]);
        const { dueAtMs, history } = await record(task!.taskId);
        const delayMs = retryDelayMs(retry, retries, raised().failure, dice)!;
        const { atMs, detail } = history.at(-1)!;
        expect(dueAtMs! - atMs).to.be.closeTo(delayMs, 1);
        expect(detail).to.match(/^on w1: Busy, next attempt in \d+ ms$/);
        const full = Math.min(retry.maxBackoffMs, retry.backoffMs * retry.backoffFactor ** retries);
        expect(dueAtMs! - atMs).to.be.within(Math.floor(full * (1 - retry.jitter)) - 1, full);
      }),
      { numRuns: 100 },
    );
  });

  it('writes no lines into the history that a class was named for', async () => {
    const [task] = await fixture.claimed(newTask({ retry: retryPolicy() }));
    await fixture.store.settle([settlement(task!, raised('A\n1 task.succeeded completed'))]);
    expect((await record(task!.taskId)).history.map(({ event }) => event)).to.deep.equal([
      'task.submitted',
      'task.claimed',
      'task.retried',
    ]);
  });

  it('is cancelled while it waits', async () => {
    const [task] = await fixture.claimed(newTask({ retry: retryPolicy() }));
    await fixture.store.settle([settlement(task!, raised())]);
    expect((await fixture.store.cancel([task!.taskId]))[0]).to.include({ cancelled: true, from: 'retrying' });
    await fixture.makeDue(task!.taskId);
    expect(await fixture.store.claim('d', 1)).to.deep.equal({ claimed: [], promoted: [] });
  });
});

describe('how long a finished task is kept', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start({ resultTtlSeconds: 600 });
  });
  after(() => fixture.stop());

  it('is what the task asks for, however it ends, with what it printed', async () => {
    const kept = { resultTtlSeconds: 50, maxAttempts: 1 };
    const [done, failed, cancelled, lost, usual] = await fixture.claimed(
      newTask(kept),
      newTask(kept),
      newTask(kept),
      newTask(kept),
      newTask(),
    );
    const output = { output: Buffer.from('printed') };
    await fixture.store.settle([settlement(done!, output), settlement(failed!, raised()), settlement(usual!, output)]);
    await fixture.store.cancel([cancelled!.taskId]);
    await fixture.expireLease(lost!.taskId);
    await fixture.store.reap();
    const ttlOf = (taskId: string): Promise<number> => fixture.redis.ttl(fixture.key(taskId));
    for (const task of [done, failed, cancelled, lost]) expect(await ttlOf(task!.taskId)).to.be.within(45, 50);
    const printed = ({ taskId }: { taskId: string }): string => fixture.shardOf(taskId).outputPrefix + taskId;
    expect(await fixture.redis.ttl(printed(done!))).to.be.within(45, 50);
    expect(await ttlOf(usual!.taskId)).to.be.within(595, 600);
    expect(await fixture.redis.ttl(printed(usual!))).to.be.within(595, 600);
    expect((await fixture.store.readTask(done!.taskId))!.resultTtlSeconds).to.equal(50);
  });
});
