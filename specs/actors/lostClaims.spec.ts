import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../actors/clock.js';
import { LostClaims } from '../../actors/lostClaims.js';
import { PlatformError } from '../../bus/errors.js';
import type { TaskRef } from '../../bus/messages.js';
import type { TaskStore } from '../../bus/taskStore.js';
import { until } from '../store/support/until.js';
import { useHouse } from './support/house.js';

const away = new PlatformError('STORE_UNAVAILABLE', 'Redis: no answer');

/** Claims are made, and some answers never arrive. */
function losingAnswers(real: TaskStore, losesAnswer: () => boolean): TaskStore {
  return new Proxy(real, {
    get: (target, name) => {
      const method = Reflect.get(target, name) as unknown;
      if (name !== 'claim') return typeof method === 'function' ? (method.bind(target) as unknown) : method;
      return async (...args: Parameters<TaskStore['claim']>) => {
        const claim = await target.claim(...args);
        if (claim.claimed.length > 0 && losesAnswer()) throw away;
        return claim;
      };
    },
  });
}

describe('a claim whose answer gets lost', () => {
  const LEASE_MS = 10_000;
  const house = useHouse(LEASE_MS);

  it('costs its tasks neither a lease nor an attempt', async () => {
    let lost = 0;
    house().startDispatcher(
      'one',
      losingAnswers(house().fixture.store, () => lost++ === 0),
    );
    const { pool } = await house().startWorker({ slots: 4 });
    const ids = await house().submit('echo', 4, { maxAttempts: 1 });
    const sinceMs = performance.now();
    await house().become('completed', ids);
    expect(performance.now() - sinceMs).to.be.lessThan(LEASE_MS / 2);
    expect(lost).to.be.greaterThan(1);
    expect(pool.starts).to.have.length(4);
    for (const taskId of ids) expect((await house().fixture.store.readTask(taskId))!.attempt).to.equal(1);
    expect((await Promise.all(ids.map((id) => house().story(id)))).flat()).to.include('task.released');
  });

  it('does not touch what other claims have taken', async () => {
    const one = house().startDispatcher('one');
    const { pool } = await house().startWorker({ slots: 2 });
    const running = await house().submit('hang', 2);
    await until(() => pool.starts.length === 2);
    let lost = 0;
    house().startDispatcher(
      'two',
      losingAnswers(house().fixture.store, () => lost++ === 0),
    );
    const other = await house().startWorker({ slots: 2, urls: ['two'] });
    await house().submit('hang', 2);
    await until(() => other.pool.starts.length === 2);
    await sleep(100);
    expect(one.dispatcher.table.inFlightCount()).to.equal(2);
    for (const taskId of running) expect(await house().story(taskId)).not.to.include('task.released');
  });
});

describe('LostClaims', () => {
  const LEASE_MS = 5_000;

  function setUp() {
    const state = { now: 0, away: true, made: [] as TaskRef[] };
    const asked: [number, string[]][] = [];
    const released: TaskRef[] = [];
    const lost = new LostClaims(LEASE_MS, {
      store: {
        findClaims: (nonces) => {
          if (state.away) return Promise.reject(away);
          asked.push([state.now, nonces]);
          return Promise.resolve(state.made.splice(0));
        },
      },
      clock: { ...systemClock, now: () => state.now },
      release: (tasks) => released.push(...tasks),
    });
    return { lost, state, asked, released };
  }

  it('has nothing to do until a claim fails; then it looks before the next one', async () => {
    const { lost, state, asked } = setUp();
    expect(lost.due).to.equal(false);
    lost.add('a');
    expect(lost.due).to.equal(true);
    await lost.giveBack().catch(() => undefined);
    expect(lost.due).to.equal(true);
    state.away = false;
    await lost.giveBack();
    expect(lost.due).to.equal(false);
    lost.add('b');
    await lost.giveBack();
    expect(asked).to.deep.equal([
      [0, ['a']],
      [0, ['a', 'b']],
    ]);
  });

  it('finds a claim that is made after it has failed, and forgets it a lease after the store first answered', async () => {
    const { lost, state, asked, released } = setUp();
    lost.add('a');
    const late = { taskId: 't', fence: '1:a' };
    for (; state.now <= 30_000; state.now += 100) {
      if (state.now === 10_000) state.away = false;
      if (state.now === 13_000) state.made.push(late);
      if (lost.due) await lost.giveBack().catch(() => undefined);
    }
    expect(released).to.deep.equal([late]);
    expect(asked.map(([atMs]) => atMs)).to.deep.equal([10, 11, 12, 13, 14, 15, 16].map((second) => second * 1_000));
    expect(lost.due).to.equal(false);
  });
});
