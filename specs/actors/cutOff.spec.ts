import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { LeaseKeeper } from '../../actors/leaseKeeper.js';
import { Releaser } from '../../actors/releaser.js';
import { systemClock } from '../../actors/clock.js';
import { PlatformError } from '../../bus/errors.js';
import type { TaskRef } from '../../bus/messages.js';
import { ProcessMetrics } from '../../bus/metrics.js';
import type { InFlight, WorkerConnection } from '../../actors/workerConnection.js';
import { until } from '../store/support/until.js';
import { type HouseDispatcher, type HouseWorker, useHouse } from './support/house.js';
import { LeapingClock } from './support/leapingClock.js';
import { unreachableStore, type UnreachableStore } from './support/unreachableStore.js';

/** It ends when the dispatcher's clock leaps: no stall of the machine is so long. */
const LEASE_MS = 30_000;
/** A worker that has heard nobody for 2.5 of them turns to a new connection: only one of these is about that. */
const HEARTBEAT_MS = 600;

interface Outage {
  sight: UnreachableStore;
  clock: LeapingClock;
  one: HouseDispatcher;
  worker: HouseWorker;
  /** What the worker runs, and what waits behind it. */
  running: string;
  waiting: string[];
  /** Of calls before the outage. */
  earlier: number;
}

describe('a dispatcher whose store is out of reach', () => {
  const house = useHouse(LEASE_MS, HEARTBEAT_MS);

  /** A worker of one slot runs a task and has three more that wait; then its dispatcher loses sight of the store. */
  async function outage(): Promise<Outage> {
    const sight = unreachableStore(house().fixture.store);
    const clock = new LeapingClock();
    const one = house().startDispatcher('one', sight.store, clock);
    const worker = await house().startWorker({ slots: 1 });
    // Short tasks are given ahead of time.
    await house().become('completed', await house().submit('echo', 20));
    const ids = await house().submit('hang', 4);
    await until(() => worker.pool.load().running === 1 && worker.pool.load().queued === 3);
    const running = ids.find((id) => worker.pool.isRunning(id))!;
    sight.releases.length = 0;
    sight.away = true;
    return {
      ...{ sight, clock, one, worker, running },
      waiting: ids.filter((id) => id !== running),
      earlier: worker.pool.starts.length - 1,
    };
  }

  /** For a whole lease no renewal gets through. */
  async function takenBack({ worker, clock }: Outage): Promise<void> {
    clock.leap(LEASE_MS);
    await until(() => worker.pool.load().queued === 0);
  }
  const attempt = async (taskId: string): Promise<number> => (await house().fixture.store.readTask(taskId))!.attempt;
  const startsOf = ({ pool }: HouseWorker, taskId: string): number =>
    pool.starts.filter((start) => start.taskId === taskId).length;

  it('for less than a lease takes nothing back', async () => {
    const { worker, sight, clock } = await outage();
    const renewals = (calls: string[]): number => calls.filter((name) => name === 'renew').length;
    const passAway = async (): Promise<void> => {
      sight.away = true;
      sight.failed.length = 0;
      clock.leap(0.7 * LEASE_MS);
      await until(() => renewals(sight.failed) > 0);
      // What it tells its worker then arrives in the next turn.
      await sleep(50);
    };
    await passAway();
    expect(worker.pool.load()).to.deep.equal({ running: 1, queued: 3 });
    sight.away = false;
    sight.answered.length = 0;
    await until(() => renewals(sight.answered) > 0);
    // More than a lease after the first outage began: it counts from the latest renewal.
    await passAway();
    expect(worker.pool.load()).to.deep.equal({ running: 1, queued: 3 });
  });

  it('for a lease takes back what has not started; what runs goes on, and its result is recorded', async () => {
    const scene = await outage();
    const { worker, running, waiting, sight } = scene;
    await takenBack(scene);
    expect(worker.pool.isRunning(running)).to.equal(true);
    expect(worker.pool.aborted).to.deep.equal([]);
    worker.pool.finish(running);
    // Nothing takes its place.
    const failedBefore = sight.failed.length;
    await until(() => sight.failed.length > failedBefore);
    expect(worker.pool.starts).to.have.length(scene.earlier + 1);

    sight.away = false;
    await house().become('completed', [running]);
    await until(async () => {
      worker.pool.finish();
      return (await house().states(waiting)).every((state) => state === 'completed');
    });
    for (const taskId of [running, ...waiting]) {
      expect(await attempt(taskId)).to.equal(1);
      expect(startsOf(worker, taskId)).to.equal(1);
    }
    for (const taskId of waiting) {
      expect(await house().story(taskId)).to.deep.equal([
        'task.submitted',
        'task.claimed',
        'task.released',
        'task.claimed',
        'task.succeeded',
      ]);
    }
  });

  it('takes back also from a worker that has reconnected meanwhile, and whose hello waits for the store', async () => {
    const scene = await outage();
    let hellos = 0;
    house().loses = (message) => {
      if (message.type === 'hello') hellos++;
      // Until it turns to a new connection, where nobody can welcome it.
      return hellos === 0 && message.type === 'heartbeat';
    };
    await until(() => hellos > 1);
    expect(scene.worker.pool.load().queued).to.equal(3);
    await takenBack(scene);
    scene.sight.away = false;
    await until(async () => {
      scene.worker.pool.finish();
      return (await house().states([scene.running, ...scene.waiting])).every((state) => state === 'completed');
    });
    for (const taskId of scene.waiting) expect(await attempt(taskId)).to.equal(1);
  });

  it('gives them back once when it reaches the store again, however often it has tried and been told', async () => {
    const scene = await outage();
    const { worker, waiting, sight, one } = scene;
    // As a worker does with what is not acknowledged.
    house().repeats = ({ type }) => type === 'results';
    await takenBack(scene);
    await until(() => sight.failed.filter((name) => name === 'release').length >= 3);
    house().repeats = () => false;
    // Else it would be given them again.
    const drained = worker.supervisor.drain(0);
    await until(() => [...one.dispatcher.table.all()].every(({ state }) => state === 'draining'));
    sight.away = false;
    await drained;
    await house().become('queued', waiting);
    await until(() => sight.releases.length > 0);
    // What was told while the store was asked is asked for again, and refused.
    const asked = sight.releases.map(({ tasks }) => tasks.map(({ taskId }) => taskId));
    for (const ids of asked) expect(new Set(ids)).to.have.property('size', ids.length);
    const released = sight.releases.flatMap((call, index) => asked[index]!.filter((_, place) => call.released[place]));
    expect(released).to.have.members(waiting);
    for (const taskId of waiting) expect(await attempt(taskId)).to.equal(0);
  });

  it('is refused what another one has taken meanwhile: nothing of it runs twice', async () => {
    const scene = await outage();
    const { worker, running, waiting, sight } = scene;
    const rejected: string[] = [];
    house().loses = (message) => {
      if (message.type === 'welcome') rejected.push(...message.rejected.map(({ taskId }) => taskId));
      return false;
    };
    await takenBack(scene);
    for (const taskId of [running, ...waiting]) await house().fixture.expireLease(taskId);
    house().startMonitor();
    house().startDispatcher('two');
    const other = await house().startWorker({ slots: 4, urls: ['two'] });
    await until(() => other.pool.load().running === 4);
    // It ran on here, and has been taken away: the second run is the one that counts.
    worker.pool.finish(running);

    sight.away = false;
    await until(() => worker.supervisor.holding === 0);
    // Once; more often when its tries and what the worker says again crossed, or when that has reconnected meanwhile.
    expect(sight.releases.flatMap(({ released }) => released)).not.to.include(true);
    const asked = sight.releases.flatMap(({ tasks }) => tasks.map(({ taskId }) => taskId));
    expect([...asked, ...rejected]).to.include.members(waiting);
    expect(await house().states([running, ...waiting])).to.deep.equal(Array(4).fill('running'));
    other.pool.finish();
    await house().become('completed', [running, ...waiting]);
    for (const taskId of waiting) {
      expect([startsOf(worker, taskId), startsOf(other, taskId)]).to.deep.equal([0, 1]);
      expect(await attempt(taskId)).to.equal(2);
    }
    expect([startsOf(worker, running), startsOf(other, running)]).to.deep.equal([1, 1]);
    expect((await house().story(running)).filter((event) => event === 'task.succeeded')).to.have.length(1);
  });

  it('takes back again in the next outage, also when no lease was renewed in between', async () => {
    const scene = await outage();
    const { worker, running, waiting, sight } = scene;
    await takenBack(scene);
    worker.pool.finish(running);
    sight.away = false;
    await house().become('completed', [running]);
    await until(() => worker.pool.load().running === 1 && worker.pool.load().queued === 2);
    sight.away = true;
    await takenBack(scene);
    expect(worker.pool.load().running).to.equal(1);
    expect(waiting.filter((id) => startsOf(worker, id) > 0)).to.have.length(1);
  });
});

describe('LeaseKeeper', () => {
  it('tells that it is cut off from a lease after the last renewal on, at every try, until one gets through', async () => {
    let now = 0;
    let away = false;
    const told: number[] = [];
    const task = { taskId: 'a', fence: '1:x', sentAtMs: 0, renewedAtMs: 0 } as InFlight;
    const worker: unknown = { name: 'w', inFlightTasks: new Map([['a', task]]) };
    const keeper = new LeaseKeeper(
      3_000,
      { all: () => [worker as WorkerConnection] },
      {
        store: {
          renew: (tasks) => (away ? Promise.reject(new Error('away')) : Promise.resolve(tasks.map(() => true))),
        },
        clock: { ...systemClock, now: () => now },
        counts: new ProcessMetrics(),
        refused: () => undefined,
        cutOff: () => told.push(now),
        onError: () => undefined,
      },
    );
    const beatUntil = async (endMs: number): Promise<void> => {
      for (; now < endMs; now += 500) await keeper.renewDue();
    };
    await beatUntil(2_000);
    away = true;
    const renewedAtMs = task.renewedAtMs;
    await beatUntil(20_000);
    const everyBeat = (fromMs: number, endMs: number): number[] =>
      Array.from({ length: (endMs - fromMs) / 500 }, (_, beat) => fromMs + 500 * beat);
    expect(told).to.deep.equal(everyBeat(renewedAtMs + 3_500, 20_000));
    told.length = 0;
    away = false;
    await beatUntil(21_000);
    away = true;
    await beatUntil(40_000);
    expect(told).to.deep.equal(everyBeat(task.renewedAtMs + 3_500, 40_000));
  });
});

describe('Releaser', () => {
  const ref = (taskId: string): TaskRef => ({ taskId, fence: `1:${taskId}` });

  function setUp() {
    const calls: string[][] = [];
    const acknowledged: [string, string][] = [];
    const errors: unknown[] = [];
    const state = { failure: undefined as Error | undefined, released: 0 };
    const releaser = new Releaser({
      store: {
        release: (tasks) => {
          calls.push(tasks.map(({ taskId }) => taskId));
          return state.failure ? Promise.reject(state.failure) : Promise.resolve(tasks.map(() => true));
        },
      },
      // Its patience is not the spec's.
      clock: { ...systemClock, setTimeout: (callback) => systemClock.setTimeout(callback, 5) },
      transition: () => undefined,
      counts: new ProcessMetrics(),
      acknowledge: (worker, { taskId }) => acknowledged.push([worker, taskId]),
      onReleased: (count) => (state.released += count),
      onError: (error) => errors.push(error),
    });
    return { releaser, calls, acknowledged, errors, state };
  }
  const away = new PlatformError('STORE_UNAVAILABLE', 'Redis: away');

  it('tries again while the store is away, and sends and acknowledges each attempt once', async () => {
    const { releaser, calls, acknowledged, errors, state } = setUp();
    state.failure = away;
    releaser.push('w', [ref('a'), ref('b')]);
    await until(() => calls.length >= 3);
    releaser.push('w', [ref('a'), ref('b')]);
    releaser.push('v', [ref('c')]);
    await until(() => calls.length >= 6);
    expect(acknowledged).to.deep.equal([]);
    state.failure = undefined;
    calls.length = 0;
    await releaser.idle();
    expect(calls).to.deep.equal([['a', 'b'], ['c']]);
    expect(acknowledged).to.deep.equal([
      ['w', 'a'],
      ['w', 'b'],
      ['v', 'c'],
    ]);
    expect([state.released, errors]).to.deep.equal([3, []]);
  });

  it('asks anew for what is pushed after it was acknowledged: the acknowledgement was lost', async () => {
    const { releaser, calls, acknowledged } = setUp();
    for (let time = 0; time < 2; time++) {
      releaser.push('w', [ref('a')]);
      await releaser.idle();
    }
    expect([calls.length, acknowledged.length]).to.deep.equal([2, 2]);
  });

  it('gives up when it is closed during an outage, and at once on an error that is not one, and goes on', async () => {
    const { releaser, calls, acknowledged, errors, state } = setUp();
    state.failure = new Error('a fault of ours');
    releaser.push('w', [ref('a')]);
    await releaser.idle();
    expect([calls.length, errors.length]).to.deep.equal([1, 1]);
    state.failure = away;
    releaser.push('w', [ref('b')]);
    await until(() => calls.length >= 3);
    releaser.close();
    await releaser.idle();
    expect([errors.length, acknowledged.length]).to.deep.equal([2, 0]);
  });
});
