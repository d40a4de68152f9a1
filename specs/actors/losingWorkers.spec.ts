import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_WATCHED } from '../../actors/heartbeatMonitor.js';
import type { ControlMessage, WorkerBeat } from '../../bus/controlMessages.js';
import { newTask } from '../store/support/storeFixture.js';
import { until } from '../store/support/until.js';
import { useHouse } from './support/house.js';

const LEASE_MS = 12_000;

describe('a worker that is lost', () => {
  const house = useHouse(LEASE_MS);

  it('loses its tasks to others long before their leases end', async () => {
    house().startDispatcher();
    const dead = await house().startWorker({ slots: 2 });
    const ids = await house().submit('hang', 2);
    await until(() => dead.pool.starts.length === 2);
    const alive = await house().startWorker({ slots: 2 });
    const killedAtMs = performance.now();
    await dead.kill();
    await until(() => alive.pool.starts.length === 2);
    const { heartbeatMs, timings } = house();
    expect(performance.now() - killedAtMs).to.be.within(timings.suspectAfterMs - heartbeatMs, LEASE_MS / 2);
    alive.pool.finish();
    await house().become('completed', ids);
    expect(await house().story(ids[0]!)).to.deep.equal([
      'task.submitted',
      'task.claimed',
      'task.interrupted',
      'task.claimed',
      'task.succeeded',
    ]);
  });

  it('fails its tasks when they have no attempts left, and names the worker', async () => {
    house().startDispatcher();
    const { pool, kill } = await house().startWorker({ name: 'unlucky' });
    const ids = await house().submit('hang', 1, { maxAttempts: 1 });
    await until(() => pool.starts.length === 1);
    await kill();
    await house().become('failed', ids);
    const { failure } = (await house().fixture.store.readTask(ids[0]!))!;
    expect(failure!.type).to.equal('WorkerFailure');
    expect(failure!.message).to.contain('unlucky');
  });

  it('is refused its late results when it was only silent, and works on as a new one', async () => {
    const { dispatcher } = house().startDispatcher();
    const silent = await house().startWorker({ slots: 1 });
    const [taskId] = await house().submit('hang', 1);
    await until(() => silent.pool.starts.length === 1);
    house().loses = () => true;
    await until(async () => (await house().states([taskId!]))[0] === 'queued');
    silent.pool.finish();
    house().loses = () => false;
    await until(() => silent.pool.starts.length === 2);
    expect(await house().states([taskId!])).to.deep.equal(['running']);
    expect(dispatcher.settler.stats.completed).to.equal(0);
    silent.pool.finish();
    await house().become('completed', [taskId!]);
    await until(() => silent.supervisor.holding === 0);
  });

  it('is told apart from one of the same name', async () => {
    const { dispatcher } = house().startDispatcher();
    const twins = await Promise.all([1, 2, 3].map(() => house().startWorker({ name: 'twin', slots: 1 })));
    await until(() => [...dispatcher.table.all()].length === 3);
    const names = [...dispatcher.table.all()].map(({ name }) => name);
    expect(new Set(names)).to.have.property('size', 3);
    expect(names.every((name) => name.startsWith('twin'))).to.equal(true);
    const ids = await house().submit('hang', 3);
    await until(() => twins.every(({ pool }) => pool.starts.length === 1));
    await twins[1]!.kill();
    twins[0]!.pool.finish();
    await until(() => twins[0]!.pool.starts.length === 2 || twins[2]!.pool.starts.length === 2);
    for (const { pool } of twins) pool.finish();
    await house().become('completed', ids);
    await until(() => [twins[0], twins[2]].every((twin) => twin!.supervisor.holding === 0));
    expect([...dispatcher.table.all()].map(({ name }) => name)).to.have.length(2);
  });

  it('cannot write into the story of its tasks by its name', async () => {
    house().startDispatcher();
    await house().startWorker({ name: 'w\n1 task.cancelled cancelled' });
    const ids = await house().submit('echo');
    await house().become('completed', ids);
    expect(await house().story(ids[0]!)).to.deep.equal(['task.submitted', 'task.claimed', 'task.succeeded']);
  });
});

describe('a heartbeat monitor', () => {
  const house = useHouse(300);
  const beats = (name: string, state = 'ready'): ControlMessage => ({
    type: 'worker.heartbeats',
    dispatcher: 'd',
    workers: [{ name, state, running: 0, queued: 0 }],
  });
  const lost = (): string[] => house().events.flatMap((event) => (event.type === 'worker.lost' ? [event.worker] : []));
  const states = (id: string): string[] =>
    house()
      .transitions.lines.filter((line) => line.id === id)
      .map(({ to }) => to);

  it('publishes the loss of a worker that falls silent, once, and of no other', async () => {
    house().startMonitor();
    house().say(beats('silent'));
    const stop = setInterval(() => house().say(beats('alive')), house().heartbeatMs);
    await until(() => lost().length > 0);
    await sleep(house().timings.suspectAfterMs);
    clearInterval(stop);
    expect(lost()).to.deep.equal(['silent']);
    expect(states('silent')).to.deep.equal(['ready', 'suspect', 'lost']);
    expect(states('alive')).to.include('ready').and.not.to.include('lost');
  });

  it('does not miss one that has left in good order', async () => {
    house().startMonitor();
    for (const state of ['ready', 'draining', 'gone']) house().say(beats('leaving', state));
    await sleep(house().timings.lostAfterMs + 100);
    expect(lost()).to.deep.equal([]);
    expect(states('leaving')).to.deep.equal(['ready', 'draining', 'gone']);
  });

  it('hears of workers through their dispatcher', async () => {
    house().startMonitor();
    house().startDispatcher();
    const { kill } = await house().startWorker({ name: 'watched' });
    await until(() => states('watched').includes('ready'));
    await kill();
    await until(() => lost().includes('watched'));
  });

  it('is not believed, nor a forger in its name, while the worker is heard', async () => {
    const { dispatcher } = house().startDispatcher();
    const { pool } = await house().startWorker({ name: 'slandered' });
    const ids = await house().submit('hang');
    await until(() => pool.starts.length === 1);
    for (let times = 0; times < 20; times++) {
      house().say({ type: 'worker.lost', worker: 'slandered' });
      house().say({ type: 'worker.lost', worker: 'nobody' });
      await sleep(5);
    }
    expect(states('slandered')).not.to.include('lost');
    await until(() => dispatcher.table.byName('slandered')!.state === 'busy');
    pool.finish();
    await house().become('completed', ids);
    expect(pool.starts).to.have.length(1);
  });

  it('watches no more workers than there can be, and none of an absurd name', async () => {
    const monitor = house().startMonitor();
    house().say(beats(''));
    house().say(beats('x'.repeat(10_000)));
    const [some] = (beats('') as { workers: WorkerBeat[] }).workers;
    const workers = Array.from({ length: MAX_WATCHED + 10 }, (_, index) => ({ ...some!, name: `forged-${index}` }));
    house().say({ type: 'worker.heartbeats', dispatcher: 'forger', workers });
    await sleep(10);
    monitor.stop();
    const watched = new Set(house().transitions.lines.map(({ id }) => id));
    expect(watched.size).to.equal(MAX_WATCHED);
  });

  it('is not believed by a dispatcher that stood still itself, and so could hear nobody', async () => {
    const { dispatcher } = house().startDispatcher();
    const { pool } = await house().startWorker({ name: 'unheard' });
    const ids = await house().submit('hang');
    await until(() => pool.starts.length === 1);
    const stillUntilMs = performance.now() + house().timings.suspectAfterMs + 20;
    while (performance.now() < stillUntilMs); // As after SIGCONT: the event is there before any heartbeat.
    house().say({ type: 'worker.lost', worker: 'unheard' });
    await sleep(house().timings.lostAfterMs);
    expect(states('unheard')).not.to.include('lost');
    await until(() => dispatcher.table.byName('unheard')!.state === 'busy');
    pool.finish();
    await house().become('completed', ids);
    expect(pool.starts).to.have.length(1);
  });

  it('puts tasks with expired leases back into the queue, logs it and nudges; two do it once', async () => {
    const tasks = Array.from({ length: 20 }, (_, i) => newTask({ maxAttempts: i < 5 ? 1 : 3 }));
    const ids = tasks.map(({ taskId }) => taskId);
    await house().fixture.claimed(...tasks);
    house().startMonitor();
    house().startMonitor();
    await house().become('failed', ids.slice(0, 5));
    await house().become('queued', ids.slice(5));
    await sleep(100);
    for (const [index, taskId] of ids.entries()) {
      expect(house().logged(taskId)).to.deep.equal([`running task.interrupted ${index < 5 ? 'failed' : 'queued'}`]);
    }
    const counts = house().events.flatMap((event) => (event.type === 'tasks.queued' ? [event.count] : []));
    expect(counts.reduce((sum, count) => sum + count, 0)).to.equal(15);
    const settled = house().events.flatMap((event) => (event.type === 'tasks.settled' ? event.tasks : []));
    expect(settled.map(({ taskId }) => taskId)).to.have.members(ids.slice(0, 5));
  });
});
