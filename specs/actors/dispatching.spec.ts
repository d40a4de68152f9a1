import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../store/support/until.js';
import { useHouse } from './support/house.js';

describe('a dispatcher and its workers', () => {
  const house = useHouse();

  it('run a task, record it and tell who waits', async () => {
    house().startDispatcher();
    const { pool, supervisor } = await house().startWorker({ name: 'w1' });
    const [taskId] = await house().submit('echo', 1, { arguments: Buffer.from('forty-two') });
    await house().become('completed', [taskId!]);
    const record = (await house().fixture.store.readTask(taskId!))!;
    expect(record).to.include({ worker: 'w1', attempt: 1 });
    expect(record.payload.toString()).to.equal('forty-two');
    expect(pool.starts).to.have.length(1);
    await until(() => supervisor.holding === 0);
    expect(house().logged(taskId!)).to.deep.equal(['queued task.claimed running', 'running task.succeeded completed']);
    const settled = house().events.flatMap((event) => (event.type === 'tasks.settled' ? event.tasks : []));
    expect(settled.map((task) => [task.taskId, task.state, task.payload?.toString()])).to.deep.equal([
      [taskId, 'completed', 'forty-two'],
    ]);
    expect(house().errors).to.deep.equal([]);
  });

  it('run many tasks, each once, on all workers', async () => {
    house().startDispatcher();
    const workers = await Promise.all([house().startWorker(), house().startWorker({ slots: 4 })]);
    const ids = await house().submit('echo', 500);
    await house().become('completed', ids);
    const starts = workers.flatMap(({ pool }) => pool.starts.map(({ taskId }) => taskId));
    expect(starts).to.have.length(500);
    expect(starts).to.have.members(ids);
    for (const { pool } of workers) expect(pool.starts).not.to.have.length(0);
    await until(() => workers.every(({ supervisor }) => supervisor.holding === 0));
  });

  it('count by function what has ended, and name what a worker has warm', async () => {
    house().startDispatcher();
    await house().startWorker({ name: 'w1' });
    await house().become('completed', await house().submit('echo', 20));
    await house().become('failed', await house().submit('raise', 3));
    const { store } = house().fixture;
    const worker = async () => (await store.readWorkers()).find(({ name }) => name === 'w1');
    await until(async () => (await worker())?.warm.length === 2);
    const [echo, raise] = (await worker())!.warm as [string, string];
    await until(async () => (await store.readFunctionRuns([echo]))[0]?.completed === 20);
    await until(async () => (await store.readFunctionRuns([raise]))[0]?.failed === 3);
    expect((await worker())!.functions).to.equal(2);
  });

  it('start at once on a nudge, and without one at the next poll', async () => {
    house().startDispatcher();
    await house().startWorker();
    await until(async () => (await house().fixture.store.readWorkers()).length === 1);
    const nudged = await house().submit('echo');
    house().say({ type: 'tasks.queued', count: 1 });
    await house().become('completed', nudged);
    await house().become('completed', await house().submit('echo'));
  });

  it('leave tasks in the queue while there is no worker, and while all are busy', async () => {
    house().startDispatcher();
    const ids = await house().submit('hang', 5);
    await sleep(60);
    expect(await house().states(ids)).to.deep.equal(ids.map(() => 'queued'));
    const { pool } = await house().startWorker({ slots: 2 });
    await until(() => pool.starts.length === 2);
    await sleep(60);
    expect((await house().states(ids)).filter((state) => state === 'running')).to.have.length(2);
    while (pool.starts.length < 5 || pool.load().running > 0) {
      pool.finish();
      await sleep(5);
    }
    await house().become('completed', ids);
  });

  it('take an exception for an answer, and a crash for a reason to try again', async () => {
    house().startDispatcher();
    const { pool } = await house().startWorker();
    const [raising] = await house().submit('raise');
    const [crashing] = await house().submit('crash', 1, { maxAttempts: 3 });
    await house().become('failed', [raising!, crashing!]);
    expect(pool.starts.filter(({ taskId }) => taskId === raising)).to.have.length(1);
    expect(pool.starts.filter(({ taskId }) => taskId === crashing)).to.have.length(3);
    const { failure } = (await house().fixture.store.readTask(crashing!))!;
    expect(failure!.message).to.equal('killed (attempts ended by: SIGKILL, SIGKILL, SIGKILL)');
    expect(
      house()
        .logged(crashing!)
        .filter((line) => line.startsWith('running task.interrupted')),
    ).to.deep.equal([
      'running task.interrupted queued',
      'running task.interrupted queued',
      'running task.interrupted failed',
    ]);
  });

  it('fail a task whose function is nowhere', async () => {
    house().startDispatcher();
    await house().startWorker();
    const ids = await house().submit('echo', 1, { functionId: 'ffffffff-0000-8000-8000-000000000000' });
    await house().become('failed', ids);
    const { failure } = (await house().fixture.store.readTask(ids[0]!))!;
    expect(failure).to.include({ type: 'DeserializationError' });
    expect(failure!.message).to.contain('register it again');
  });

  it('send a function once, and again when a worker turns out not to have it', async () => {
    house().startDispatcher();
    const { pool } = await house().startWorker();
    const bodies: string[] = [];
    house().loses = (message) => {
      if ('functions' in message && message.type !== 'hello')
        bodies.push(...message.functions.map(({ functionId }) => functionId));
      return false;
    };
    await house().become('completed', await house().submit('echo', 20));
    await house().become('completed', await house().submit('echo', 20));
    expect(bodies).to.have.length(1);
    pool.forgetFunctions();
    await house().become('completed', await house().submit('echo', 20));
    expect(new Set(bodies)).to.have.property('size', 1);
    expect(bodies.length).to.be.greaterThan(1);
    expect(pool.starts).to.have.length(60);
  });

  it('find out that an order was lost on the way, and run it all the same, uncounted', async () => {
    house().startDispatcher();
    const { pool } = await house().startWorker();
    let lost = 0;
    house().loses = ({ type }) => type === 'run' && ++lost === 1;
    const [first] = await house().submit('echo');
    await until(() => lost === 1);
    // The next order shows the worker the gap.
    const ids = await house().submit('echo', 3);
    await house().become('completed', [first!, ...ids]);
    expect(pool.starts).to.have.length(4);
    expect((await house().fixture.store.readTask(first!))!.attempt).to.equal(1);
  });

  it('send no message that is larger than a wire takes, however much there is', async () => {
    const MEBIBYTE = 1024 * 1024;
    const sizes = { run: [] as number[], results: [] as number[] };
    const total = (items: { length: number }[]): number => items.reduce((bytes, { length }) => bytes + length, 0);
    let away = false;
    house().loses = (message) => {
      if (away) return true;
      if (message.type === 'run') sizes.run.push(total(message.orders.map((order) => order.arguments)));
      if (message.type === 'results') sizes.results.push(total(message.results.map(({ payload }) => payload)));
      return false;
    };
    house().startDispatcher();
    const { pool } = await house().startWorker({ slots: 20 });
    const ids = await house().submit('hang', 20, { arguments: Buffer.alloc(MEBIBYTE) });
    await until(() => pool.starts.length === 20);
    away = true;
    pool.finish();
    await sleep(20);
    away = false;
    await house().become('completed', ids);
    for (const kind of ['run', 'results'] as const) {
      expect(total(sizes[kind].map((length) => ({ length })))).to.be.at.least(20 * MEBIBYTE);
      expect(Math.max(...sizes[kind])).to.be.at.most(8 * MEBIBYTE);
    }
  });

  it('keep results while Redis is away, and record them when it is back', async () => {
    house().startDispatcher();
    const { pool, supervisor } = await house().startWorker({ slots: 4 });
    const ids = await house().submit('hang', 4);
    await until(() => pool.starts.length === 4);
    await house().fixture.synced();
    await house().fixture.server.kill('SIGKILL');
    pool.finish();
    await sleep(100);
    expect(supervisor.holding).to.equal(4);
    await house().fixture.server.restart();
    await house().fixture.connected();
    await house().become('completed', ids);
    await until(() => supervisor.holding === 0);
    expect(pool.starts).to.have.length(4);
  });
});

describe('a result that is not acknowledged', () => {
  // A worker that turns to a new connection, as after a stall, says again what it holds: that is not what repeats it here.
  const house = useHouse(6_000, 300);

  it('is repeated until it is, and counts once', async () => {
    const { dispatcher } = house().startDispatcher();
    const { pool, supervisor } = await house().startWorker();
    const lost = { results: 0, acknowledge: 0 };
    // To a worker that has reconnected meanwhile, the welcome says that its result is there.
    let rejected = 0;
    house().loses = (message) => {
      if (message.type === 'welcome') rejected += message.rejected.length;
      return (message.type === 'results' || message.type === 'acknowledge') && ++lost[message.type] === 1;
    };
    const ids = await house().submit('echo');
    await house().become('completed', ids);
    await until(() => supervisor.holding === 0);
    expect(lost.results + rejected).to.be.greaterThan(2);
    expect(pool.starts).to.have.length(1);
    expect(dispatcher.settler.stats).to.include({ completed: 1, stale: 0 });
    expect(dispatcher.settler.stats.duplicate + rejected).to.be.greaterThan(0);
    expect(
      house()
        .logged(ids[0]!)
        .filter((line) => line.includes('task.succeeded')),
    ).to.have.length(1);
  });
});
