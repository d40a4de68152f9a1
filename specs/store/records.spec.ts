import { expect } from 'chai';
import { functionIdOf } from '../../bus/redis/keys.js';
import type { WorkerRecord } from '../../bus/taskStore.js';
import { crashed, newTask, raised, retryPolicy, settlement, StoreFixture } from './support/storeFixture.js';

describe('what is kept of a task', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start({ resultTtlSeconds: 600 });
  });
  beforeEach(() => fixture.empty());
  after(() => fixture.stop());

  it('is its whole story, a line per transition', async () => {
    const task = newTask({ delayMs: 60_000, maxAttempts: 5, retry: retryPolicy() });
    const { store } = fixture;
    const claim = async (): Promise<{ taskId: string; fence: string }> => (await store.claim('d', 1)).claimed[0]!;
    await store.submit([task]);
    await fixture.makeDue(task.taskId);
    await store.settle([settlement(await claim(), crashed('SIGKILL'))]);
    await store.release([await claim()]);
    await store.settle([settlement(await claim(), raised('Odd'))]);
    await fixture.makeDue(task.taskId);
    await claim();
    await fixture.expireLease(task.taskId);
    await store.reap();
    await store.settle([settlement(await claim(), { worker: 'worker with a long name' })]);

    const { history, queuedAtMs } = (await store.readTask(task.taskId))!;
    expect(
      history.map(({ event, to, detail }) => [event, to, ...(detail === undefined ? [] : [detail])]),
    ).to.deep.equal([
      ['task.submitted', 'delayed'],
      ['task.due', 'queued'],
      ['task.claimed', 'running', 'attempt 1'],
      ['task.interrupted', 'queued', 'on w1: SIGKILL'],
      ['task.claimed', 'running', 'attempt 2'],
      ['task.released', 'queued'],
      ['task.claimed', 'running', 'attempt 2'],
      ['task.retried', 'retrying', 'on w1: Odd, next attempt in 60000 ms'],
      ['task.due', 'queued'],
      ['task.claimed', 'running', 'attempt 3'],
      ['task.interrupted', 'queued', 'on w1: lease expired'],
      ['task.claimed', 'running', 'attempt 4'],
      ['task.succeeded', 'completed', 'on worker with a long name'],
    ]);
    const times = history.map(({ atMs }) => atMs);
    expect(times).to.deep.equal([...times].sort());
    expect(queuedAtMs).to.equal(times[0]);
    expect(Math.abs(times[0]! - Date.now())).to.be.lessThan(5_000);
  });

  it('ends with its cancellation', async () => {
    const task = newTask();
    await fixture.store.submit([task]);
    await fixture.store.cancel([task.taskId]);
    const record = (await fixture.store.readTask(task.taskId))!;
    expect(record.history.at(-1)).to.include({ event: 'task.cancelled', to: 'cancelled' });
    expect(record.failure).to.deep.equal({ type: 'Cancelled', message: 'the task was cancelled' });
    expect(record.finishedAtMs).to.equal(record.history.at(-1)!.atMs);
  });

  it('has what the worker measured', async () => {
    const [task] = await fixture.claimed(newTask({ priority: 'low', timeoutMs: 5_000 }));
    await fixture.store.settle([settlement(task!, { startedAtMs: 1_700_000_000_123.7, worker: 'w3' })]);
    const record = (await fixture.store.readTask(task!.taskId))!;
    expect(record).to.include({ worker: 'w3', startedAtMs: 1_700_000_000_124, runTimeUs: 1_500, peakMemoryKib: 2_048 });
    expect(record).to.include({ priority: 'low', timeoutMs: 5_000, attempt: 1, maxAttempts: 3 });
  });

  it('has what it printed, and whether that was cut', async () => {
    const [whole, cut, silent] = await fixture.claimed(newTask(), newTask(), newTask());
    await fixture.store.settle([
      settlement(whole!, { output: Buffer.from('all of it') }),
      settlement(cut!, { output: Buffer.from('a part'), outputTruncated: true }),
      settlement(silent!),
    ]);
    const outputs = await Promise.all([whole, cut, silent].map((task) => fixture.store.readOutput(task!.taskId)));
    expect(outputs.map(String)).to.deep.equal(['all of it', 'a part', '']);
    const records = await Promise.all([whole, cut, silent].map((task) => fixture.store.readTask(task!.taskId)));
    expect(records.map((record) => record!.outputTruncated)).to.deep.equal([false, true, false]);
    expect(await fixture.store.readOutput(newTask().taskId)).to.equal(undefined);
  });

  it('goes after the given time when the task has ended, and not before', async () => {
    const tasks = Array.from({ length: 7 }, () => newTask({ maxAttempts: 2, retry: retryPolicy() }));
    const [done, failed, requeued, running, cancelled, retrying, lost] = await fixture.claimed(...tasks);
    await fixture.store.settle([
      settlement(done!, { output: Buffer.from('printed') }),
      settlement(failed!, { event: 'task.raised' }),
      settlement(requeued!, crashed()),
      settlement(retrying!, raised()),
    ]);
    await fixture.store.cancel([cancelled!.taskId]);
    await fixture.redis.hset(fixture.key(lost!.taskId), 'max', 1);
    await fixture.expireLease(lost!.taskId);
    await fixture.store.reap();
    const delayed = newTask({ delayMs: 60_000 });
    await fixture.store.submit([delayed]);

    const ending = [done, failed, cancelled, lost].map((task) => fixture.key(task!.taskId));
    ending.push(fixture.shardOf(done!.taskId).outputPrefix + done!.taskId);
    for (const key of await fixture.redis.keys('*')) {
      const ttl = await fixture.redis.ttl(key);
      if (ending.includes(key)) expect(ttl, key).to.be.within(595, 600);
      else expect(ttl, key).to.equal(-1);
    }
    expect(
      await fixture.store.readStatuses([running, requeued, retrying, delayed].map((task) => task!.taskId)),
    ).to.deep.equal(['running', 'queued', 'retrying', 'delayed']);
  });

  it('costs at most 1 KiB while it waits, for a small task', async () => {
    const tasks = Array.from({ length: 10_000 }, (_, i) => newTask({ arguments: Buffer.alloc(64, i) }));
    const usedBytes = async (): Promise<number> =>
      Number(/used_memory:(\d+)/.exec(await fixture.redis.info('memory'))![1]);
    const before = await usedBytes();
    await fixture.store.submit(tasks);
    const perTask = ((await usedBytes()) - before) / tasks.length;
    expect(perTask).to.be.lessThan(1_024);
    const [encoding, bytes] = await Promise.all([
      fixture.redis.object('ENCODING', fixture.key(tasks[0]!.taskId)),
      fixture.redis.memory('USAGE', fixture.key(tasks[0]!.taskId)),
    ]);
    expect(encoding).to.equal('listpack');
    expect(bytes).to.be.lessThan(1_024);
  });

  it('is not there for ids nobody knows', async () => {
    const { taskId } = newTask();
    expect(await fixture.store.readStatuses([taskId])).to.deep.equal([undefined]);
    expect(await fixture.store.readOutcomes([taskId])).to.deep.equal([undefined]);
    expect(await fixture.store.readTask(taskId)).to.equal(undefined);
  });
});

describe('functions in the store', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start();
  });
  after(() => fixture.stop());

  it('are found by the hash of their bytes', async () => {
    const payload = Buffer.from([0x80, 0x04, 0x00, 0xff, 0x2e]);
    const first = await fixture.store.registerFunction({ name: 'double', payload });
    expect(first).to.deep.equal({ functionId: functionIdOf(payload), created: true });
    expect(first.functionId).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(await fixture.store.registerFunction({ name: 'other', payload })).to.deep.equal({
      ...first,
      created: false,
    });
    const other = await fixture.store.registerFunction({ name: 'double', payload: Buffer.concat([payload, payload]) });
    expect(other.functionId).not.to.equal(first.functionId);
    const record = (await fixture.store.readFunction(first.functionId))!;
    expect(record).to.include({ functionId: first.functionId, name: 'double', payloadBytes: 5 });
    expect(Math.abs(record.registeredAtMs - Date.now())).to.be.lessThan(5_000);
    const bodies = await fixture.store.loadFunctions([other.functionId, 'unknown', first.functionId]);
    expect(bodies.map((body) => body?.length)).to.deep.equal([10, undefined, 5]);
    expect(bodies[2]!.equals(payload)).to.equal(true);
    expect(await fixture.store.pythonsNeeded([first.functionId, 'unknown'])).to.deep.equal(['', undefined]);
    expect(await fixture.store.readFunction('unknown')).to.equal(undefined);
    expect(await fixture.redis.ttl(`function:${first.functionId}`)).to.equal(-1);
  });

  it('keep what was told of their origin, and learn more of it', async () => {
    const payload = Buffer.from([0x80, 0x04, 0x4e, 0x2e]);
    const { functionId } = await fixture.store.registerFunction({ name: 'f', payload });
    expect((await fixture.store.readFunction(functionId))!).not.to.have.property('origin');
    const python = { pythonImplementation: 'cpython', pythonVersion: '3.11.2', dillVersion: '0.3.6' };
    const partial = { name: 'f', text: 'f = 1', isComplete: false };
    await fixture.store.registerFunction({ name: 'f', payload, origin: { ...python, source: partial } });
    expect((await fixture.store.readFunction(functionId))!.origin).to.deep.equal({
      ...python,
      source: { name: 'f', isComplete: false },
    });
    expect(await fixture.store.pythonsNeeded([functionId])).to.deep.equal(['cpython-3.11']);
    const [incomplete] = await fixture.store.loadFunctions([functionId]);
    expect(incomplete!.subarray(5).toString('latin1')).to.equal('{"python":"cpython 3.11.2"}\x80\x04N.');

    const complete = { name: 'f', text: 'def f(): "é"', isComplete: true };
    const other = { pythonImplementation: 'pypy', pythonVersion: '3.9.1', dillVersion: '', source: complete };
    await fixture.store.registerFunction({ name: 'f', payload, origin: other });
    await fixture.store.registerFunction({ name: 'f', payload, origin: { ...python, source: partial } });
    await fixture.store.registerFunction({ name: 'f', payload });
    expect((await fixture.store.readFunction(functionId))!.origin).to.deep.equal({
      ...python,
      source: { name: 'f', isComplete: true },
    });
    expect(await fixture.store.pythonsNeeded([functionId])).to.deep.equal(['']);
    const [body] = await fixture.store.loadFunctions([functionId]);
    expect(body!.readUInt32LE(1)).to.equal(body!.length - 5 - payload.length);
    expect(JSON.parse(body!.subarray(5, -payload.length).toString())).to.deep.equal({
      python: 'cpython 3.11.2',
      name: 'f',
      source: complete.text,
    });
  });

  it('have one id however often and by whomever they are registered', async () => {
    const payload = Buffer.alloc(1_000_000, 7);
    const other = await fixture.another({ shards: 5 });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => [fixture.store, other][i % 2]!.registerFunction({ name: 'big', payload })),
    );
    expect(new Set(answers.map(({ functionId }) => functionId))).to.have.property('size', 1);
    await other.close();
  });
});

describe('workers in the store', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start();
  });
  after(() => fixture.stop());

  it('are written, replaced and forgotten by name', async () => {
    const worker = (name: string, running: number): WorkerRecord => ({
      ...{ name, state: 'ready', dispatcher: 'd', mode: 'push', slots: 4, running, queued: 0, pid: 1 },
      ...{
        pythonVersion: '3.11',
        pythonImplementation: 'cpython',
        labels: [],
        dillVersion: '0.3',
        joinedAtMs: 1,
        heartbeatAtMs: 2,
        functions: 0,
        warm: [],
      },
    });
    await fixture.store.writeWorkers([worker('a', 0), worker('b', 1)]);
    await fixture.store.writeWorkers([worker('a', 3)]);
    await fixture.store.writeWorkers([]);
    expect(await fixture.store.readWorkers()).to.have.deep.members([worker('a', 3), worker('b', 1)]);
    await fixture.store.forgetWorkers(['a', 'nobody']);
    await fixture.store.forgetWorkers([]);
    expect(await fixture.store.readWorkers()).to.deep.equal([worker('b', 1)]);
  });
});
