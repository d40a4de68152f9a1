import { type Clock, systemClock } from '../../actors/clock.js';
import { RedisTenants } from '../../bus/redis/redisTenants.js';
import type { Claim, TaskStore } from '../../bus/taskStore.js';
import { until } from '../store/support/until.js';
import { type HouseWorker, useHouse } from './support/house.js';

/** Nothing is done because time has passed, until it goes on: a dispatcher that has it never looks into the queue unasked. */
class StoppedClock implements Clock {
  readonly now = (): number => systemClock.now();
  readonly wallMs = (): number => systemClock.wallMs();
  readonly clearTimeout = (timer: unknown): void => systemClock.clearTimeout(timer);
  private goesOn = false;
  private readonly waiting: (() => void)[] = [];

  setTimeout(action: () => void, delayMs: number): unknown {
    if (this.goesOn) return systemClock.setTimeout(action, delayMs);
    this.waiting.push(action);
    return undefined;
  }

  goOn(): void {
    this.goesOn = true;
    for (const action of this.waiting.splice(0)) action();
  }
}

/** What these wait for happens before a settlement is written, and before the answer to a claim that has been made. */
function waiting(
  real: TaskStore,
  waits: { beforeSettle: () => Promise<unknown>; afterClaim: (claim: Claim) => Promise<unknown> },
): TaskStore {
  return new Proxy(real, {
    get: (target, name) => {
      if (name === 'settle') {
        return async (...args: Parameters<TaskStore['settle']>) => {
          await waits.beforeSettle();
          return target.settle(...args);
        };
      }
      if (name === 'claim') {
        return async (...args: Parameters<TaskStore['claim']>) => {
          const claim = await target.claim(...args);
          await waits.afterClaim(claim);
          return claim;
        };
      }
      const method = Reflect.get(target, name) as unknown;
      return typeof method === 'function' ? (method.bind(target) as unknown) : method;
    },
  });
}

describe('a dispatcher that is told of tasks once', function () {
  this.timeout(30_000);
  let clock: StoppedClock;
  beforeEach(() => {
    clock = new StoppedClock();
  });
  // Before the house is left: a dispatcher takes its time to stop.
  afterEach(() => clock.goOn());
  const house = useHouse();

  async function start(store: TaskStore = house().fixture.store): Promise<HouseWorker> {
    const { dispatcher } = house().startDispatcher('one', store, clock);
    const worker = await house().startWorker({ slots: 4 });
    await until(() => [...dispatcher.table.available()].length === 1);
    return worker;
  }
  const limit = (maxRunning: number): Promise<void> =>
    new RedisTenants(house().fixture.redis, { shards: 1 }).setLimits('acme', { maxRunning });
  const tell = (count: number): void => house().say({ type: 'tasks.queued', count });

  it('claims on where a claim ends among cancelled ones', async () => {
    await start();
    const { redis } = house().fixture;
    for (let i = 0; i < 10; i++) await redis.lpush('{q:0}:queue:normal', ...Array<string>(1_000).fill('gone'));
    const ids = await house().submit('echo', 10);
    tell(10);
    await house().become('completed', ids);
  });

  for (const maxRunning of [1, 2, 3]) {
    it(`claims on when a task of a tenant has ended that may run ${maxRunning} at once`, async () => {
      await limit(maxRunning);
      await start();
      const ids = await house().submit('echo', 100, { tenant: 'acme' });
      tell(100);
      await house().become('completed', ids);
    });
  }

  it('claims on when the end of a task is written after a claim that had to leave the next one, and before its answer', async () => {
    await limit(1);
    let [isEnding, isLeft] = [false, false];
    const store = waiting(house().fixture.store, {
      beforeSettle: () => {
        isEnding = true;
        return until(() => isLeft);
      },
      afterClaim: async ({ holdsBack }) => {
        if (!holdsBack || isLeft) return;
        isLeft = true;
        await until(() => house().events.some(({ type }) => type === 'tasks.settled'));
      },
    });
    const { pool } = await start(store);
    await house().submit('hang', 1, { tenant: 'acme' });
    tell(1);
    await until(() => pool.starts.length === 1);
    pool.finish();
    await until(() => isEnding);
    // The worker repeats what is not acknowledged.
    house().loses = ({ type }) => type === 'results';
    await house().submit('hang', 1, { tenant: 'acme' });
    tell(1);
    await until(() => pool.starts.length === 2);
  });
});
