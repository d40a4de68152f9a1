import { type Clock, systemClock } from '../../actors/clock.js';
import { until } from '../store/support/until.js';
import { useHouse } from './support/house.js';

/** Nothing is done because time has passed: a dispatcher that has it never looks into the queue unasked. */
const timeless: Clock = { ...systemClock, setTimeout: () => undefined, clearTimeout: () => undefined };

describe('a dispatcher that is told of tasks once', function () {
  this.timeout(30_000);
  const house = useHouse();

  beforeEach(async () => {
    const { dispatcher } = house().startDispatcher('one', house().fixture.store, timeless);
    await house().startWorker({ slots: 4 });
    await until(() => [...dispatcher.table.available()].length === 1);
  });

  it('claims on where a claim ends among cancelled ones', async () => {
    const { redis } = house().fixture;
    for (let i = 0; i < 10; i++) await redis.lpush('{q:0}:queue:normal', ...Array<string>(1_000).fill('gone'));
    const ids = await house().submit('echo', 10);
    house().say({ type: 'tasks.queued', count: 10 });
    await house().become('completed', ids);
  });
});
