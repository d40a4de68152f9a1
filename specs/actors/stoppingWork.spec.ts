import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../store/support/until.js';
import { useHouse } from './support/house.js';

describe('a worker that drains', () => {
  // It waits five heartbeats for the last acknowledgements.
  const house = useHouse(6_000, 300);

  it('finishes what runs, gives back the rest uncounted, says goodbye and is forgotten', async () => {
    const { dispatcher } = house().startDispatcher();
    const leaving = await house().startWorker({ name: 'leaving', slots: 1 });
    await house().become('completed', await house().submit('echo', 20));
    const ids = await house().submit('hang', 4);
    await until(() => leaving.pool.load().queued === 3);
    const drained = leaving.supervisor.drain(5_000);
    const other = await house().startWorker({ slots: 3 });
    await until(() => other.pool.starts.length === 3);
    expect(leaving.pool.load()).to.deep.equal({ running: 1, queued: 0 });
    leaving.pool.finish();
    await drained;
    expect(leaving.supervisor.holding).to.equal(0);
    other.pool.finish();
    await house().become('completed', ids);
    const attempts = await Promise.all(ids.map(async (id) => (await house().fixture.store.readTask(id))!.attempt));
    expect(attempts).to.deep.equal([1, 1, 1, 1]);
    await until(() => dispatcher.table.byName('leaving') === undefined);
    await until(async () => (await house().fixture.store.readWorkers()).every(({ name }) => name !== 'leaving'));
    const states = house()
      .transitions.lines.filter(({ id }) => id === 'leaving')
      .map(({ to }) => to);
    expect(states.slice(-2)).to.deep.equal(['draining', 'gone']);
  });

  it('gives back what waits for the body of its function, uncounted', async () => {
    house().startDispatcher();
    const { pool, supervisor } = await house().startWorker({ slots: 2 });
    await house().become('completed', await house().submit('echo', 1));
    pool.forgetFunctions();
    house().loses = ({ type }) => type === 'functions';
    const ids = await house().submit('echo', 2);
    await until(() => supervisor.holding === 2);
    const startedAtMs = performance.now();
    await supervisor.drain(10_000);
    expect(performance.now() - startedAtMs).to.be.lessThan(9_000);
    await house().become('queued', ids);
    for (const taskId of ids) expect(await house().story(taskId)).to.include('task.released');
  });

  it('reports what still runs after the grace as interrupted', async () => {
    house().startDispatcher();
    const { pool, supervisor } = await house().startWorker({ slots: 1 });
    const ids = await house().submit('hang');
    await until(() => pool.starts.length === 1);
    await supervisor.drain(50);
    await house().become('queued', ids);
    expect(await house().story(ids[0]!)).to.deep.equal(['task.submitted', 'task.claimed', 'task.interrupted']);
  });

  it('takes nothing new while it drains', async () => {
    house().startDispatcher();
    const { pool, supervisor } = await house().startWorker({ slots: 2 });
    await house().submit('hang');
    await until(() => pool.starts.length === 1);
    const drained = supervisor.drain(5_000);
    const later = await house().submit('echo', 3);
    await sleep(100);
    expect(await house().states(later)).to.deep.equal(['queued', 'queued', 'queued']);
    pool.finish();
    await drained;
    expect(pool.starts).to.have.length(1);
  });

  it('is asked to by a control event', async () => {
    house().startDispatcher();
    const asked = await house().startWorker({ name: 'asked' });
    const other = await house().startWorker({ name: 'other' });
    await until(async () => (await house().fixture.store.readWorkers()).length === 2);
    house().say({ type: 'worker.drain', worker: 'asked' });
    await until(() => asked.drainRequests === 1);
    expect(other.drainRequests).to.equal(0);
  });
});

describe('work that is not wanted any more', () => {
  const house = useHouse();

  it('is stopped when it is cancelled, and its slot is free again', async () => {
    house().startDispatcher();
    const { pool, supervisor } = await house().startWorker({ slots: 1 });
    const [taskId] = await house().submit('hang');
    await until(() => pool.starts.length === 1);
    const [verdict] = await house().fixture.store.cancel([taskId!]);
    const { fence } = verdict as { fence: string };
    house().say({ type: 'tasks.cancelled', tasks: [{ taskId: taskId!, fence }] });
    await until(() => pool.aborted.length === 1);
    expect(pool.aborted).to.deep.equal([{ taskId, fence }]);
    await house().become('completed', await house().submit('echo'));
    expect(await house().states([taskId!])).to.deep.equal(['cancelled']);
    await until(() => supervisor.holding === 0);
  });

  it('is stopped at the next renewal of its lease when the event was lost', async () => {
    house().startDispatcher();
    const { pool, supervisor } = await house().startWorker({ slots: 1 });
    const [taskId] = await house().submit('hang');
    await until(() => pool.starts.length === 1);
    await house().fixture.store.cancel([taskId!]);
    await until(() => pool.aborted.length === 1);
    expect(supervisor.holding).to.equal(0);
  });

  it('is not mixed up with a later attempt of the same task', async () => {
    house().startDispatcher();
    const { pool } = await house().startWorker({ slots: 1 });
    const [taskId] = await house().submit('hang');
    await until(() => pool.starts.length === 1);
    house().say({ type: 'tasks.cancelled', tasks: [{ taskId: taskId!, fence: '1:of another attempt' }] });
    await sleep(30);
    expect(pool.aborted).to.deep.equal([]);
    pool.finish();
    await house().become('completed', [taskId!]);
  });

  it('is taken back from a busy worker when another has a free slot, uncounted', async () => {
    house().startDispatcher();
    const busy = await house().startWorker({ slots: 1 });
    await house().become('completed', await house().submit('echo', 20));
    const [long] = await house().submit('hang');
    await until(() => busy.pool.isRunning(long!));
    const short = await house().submit('echo', 5);
    await until(() => busy.pool.load().queued === 5);
    const free = await house().startWorker({ slots: 1 });
    await house().become('completed', short);
    expect(busy.pool.isRunning(long!)).to.equal(true);
    expect(free.pool.starts.map(({ taskId }) => taskId)).to.have.members(short);
    for (const taskId of short) {
      expect((await house().fixture.store.readTask(taskId))!.attempt).to.equal(1);
      expect(await house().story(taskId)).to.include('task.released');
    }
    busy.pool.finish();
    await house().become('completed', [long!]);
  });
});

describe('a dispatcher', () => {
  const house = useHouse();

  it('is asked to drain by its id', async () => {
    const [one, two] = [house().startDispatcher('one'), house().startDispatcher('two')];
    house().say({ type: 'dispatcher.drain', dispatcher: 'dispatcher-two' });
    await until(() => two.drainRequests === 1);
    expect(one.drainRequests).to.equal(0);
  });

  it('says how it stands, and takes its leave when it stops', async () => {
    const { store } = house().fixture;
    const { dispatcher } = house().startDispatcher();
    const { pool } = await house().startWorker({ slots: 3 });
    const done = await house().submit('echo', 20);
    await house().become('completed', done);
    await house().submit('hang', 2);
    const record = await until(async () => {
      const [latest] = await store.readDispatchers();
      return latest?.completed === 20 && latest.inFlight === 2 && latest.slots === 3 && latest;
    });
    expect(record).to.include({ id: 'dispatcher-one', state: 'running', mode: 'push', workers: 1, failed: 0 });
    expect(record.completedPerSecond).to.be.greaterThan(0);
    const stopped = dispatcher.stop(10_000);
    await until(async () => (await store.readDispatchers())[0]?.state === 'draining');
    pool.finish();
    await stopped;
    expect(await store.readDispatchers()).to.deep.equal([]);
  });
});
