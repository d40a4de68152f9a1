import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../store/support/until.js';
import { useHouse } from './support/house.js';

describe('a dispatcher that is replaced', () => {
  const house = useHouse();

  it('inside the lease: its successor adopts what runs, and nothing is started twice', async () => {
    const first = house().startDispatcher();
    const { pool, supervisor } = await house().startWorker({ slots: 3 });
    const ids = await house().submit('hang', 3);
    await until(() => pool.starts.length === 3);
    await first.kill();
    await sleep(2 * house().heartbeatMs);
    const second = house().startDispatcher();
    await until(() => second.dispatcher.table.inFlightCount() === 3);
    pool.finish();
    await house().become('completed', ids);
    await until(() => supervisor.holding === 0);
    expect(pool.starts).to.have.length(3);
    expect(pool.aborted).to.deep.equal([]);
    for (const taskId of ids) {
      expect(await house().story(taskId)).to.deep.equal(['task.submitted', 'task.claimed', 'task.succeeded']);
    }
  });

  it('gets the results that came while there was none', async () => {
    const first = house().startDispatcher();
    const { pool, supervisor } = await house().startWorker({ slots: 3 });
    const ids = await house().submit('hang', 3);
    await until(() => pool.starts.length === 3);
    await first.kill();
    pool.finish();
    await sleep(3 * house().heartbeatMs);
    expect(supervisor.holding).to.equal(3);
    house().startDispatcher();
    await house().become('completed', ids);
    await until(() => supervisor.holding === 0);
    expect(pool.starts).to.have.length(3);
  });

  it('after the lease: what was reaped meanwhile is stopped on the worker, and runs under a new fence', async () => {
    const first = house().startDispatcher();
    const { pool } = await house().startWorker({ slots: 2 });
    const [kept, reaped] = await house().submit('hang', 2);
    await until(() => pool.starts.length === 2);
    await first.kill();
    await house().fixture.expireLease(reaped!);
    expect((await house().fixture.store.reap()).tasks.map(({ taskId }) => taskId)).to.deep.equal([reaped]);
    house().startDispatcher();
    await until(() => pool.starts.length === 3);
    expect(pool.aborted).to.deep.equal([pool.starts.find(({ taskId }) => taskId === reaped)]);
    expect(pool.starts[2]!.taskId).to.equal(reaped);
    expect(pool.starts[2]!.fence).to.match(/^2:/);
    pool.finish();
    await house().become('completed', [kept!, reaped!]);
    expect((await house().fixture.store.readTask(kept!))!.attempt).to.equal(1);
  });

  it('by another one that it had told its workers of', async () => {
    const one = house().startDispatcher('one');
    const two = house().startDispatcher('two');
    const announce = (): void =>
      house().say({
        type: 'component.heartbeat',
        kind: 'dispatcher',
        id: 'dispatcher-two',
        state: 'running',
        address: 'two',
      });
    announce();
    await sleep(10);
    const { pool } = await house().startWorker({ slots: 2, urls: ['one'] });
    const ids = await house().submit('hang', 2);
    await until(() => pool.starts.length === 2);
    await one.kill();
    await until(() => two.dispatcher.table.inFlightCount() === 2);
    pool.finish();
    await house().become('completed', ids);
    expect(pool.starts).to.have.length(2);
  });

  it('beside another: two share the work, and no task runs twice', async () => {
    house().startDispatcher('one');
    house().startDispatcher('two');
    const [one, two] = [await house().startWorker({ urls: ['one'] }), await house().startWorker({ urls: ['two'] })];
    const ids = await house().submit('echo', 300);
    await house().become('completed', ids);
    const starts = [one, two].map(({ pool }) => pool.starts.length);
    expect(starts[0]! + starts[1]!).to.equal(300);
    expect(Math.min(...starts)).to.be.greaterThan(0);
  });

  it('in good order: it gives back what has not started, and waits for what runs', async () => {
    const { dispatcher } = house().startDispatcher();
    const { pool } = await house().startWorker({ slots: 1 });
    // Short tasks are given ahead of time.
    await house().become('completed', await house().submit('echo', 20));
    const ids = await house().submit('hang', 4);
    await until(() => pool.load().running === 1 && pool.load().queued === 3);
    const stopped = dispatcher.stop(2_000);
    await until(async () => (await house().states(ids)).filter((state) => state === 'queued').length === 3);
    pool.finish();
    await stopped;
    expect((await house().states(ids)).sort()).to.deep.equal(['completed', 'queued', 'queued', 'queued']);
    expect(pool.starts).to.have.length(21);
    const attempts = await Promise.all(ids.map(async (id) => (await house().fixture.store.readTask(id))!.attempt));
    expect(attempts.sort()).to.deep.equal([0, 0, 0, 1]);
  });

  it('leaves what runs too long to its workers and to its successor', async () => {
    const { dispatcher } = house().startDispatcher();
    const { pool } = await house().startWorker({ slots: 1 });
    const ids = await house().submit('hang');
    await until(() => pool.load().running === 1);
    const startedAtMs = performance.now();
    await dispatcher.stop(100);
    expect(performance.now() - startedAtMs).to.be.within(90, 5_000);
    expect(await house().states(ids)).to.deep.equal(['running']);
    expect(pool.load().running).to.equal(1);
  });
});
