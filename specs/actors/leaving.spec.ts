import { expect } from 'chai';
import { PlatformError } from '../../bus/errors.js';
import { shardKeys } from '../../bus/redis/keys.js';
import { connectRedis } from '../../bus/redis/connection.js';
import type { RedisTaskStore } from '../../bus/redis/redisTaskStore.js';
import type { TaskStore } from '../../bus/taskStore.js';
import { newTask } from '../store/support/storeFixture.js';
import { until } from '../store/support/until.js';
import { useHouse } from './support/house.js';

/** The store, but for some of its methods. */
function changed(real: RedisTaskStore, changes: Partial<TaskStore>): TaskStore {
  return new Proxy(real, {
    get: (target, name) => {
      const method = (Reflect.get(changes, name) ?? Reflect.get(target, name)) as unknown;
      return typeof method === 'function' ? (method.bind(target) as unknown) : method;
    },
  });
}

describe('a dispatcher that leaves while its claim stands', () => {
  const house = useHouse();
  let store: RedisTaskStore;

  beforeEach(async () => {
    const { url } = house().fixture.server;
    const listener = () => connectRedis(url, { lost: () => undefined, restored: () => undefined });
    store = await house().fixture.another({ listener });
  });
  afterEach(() => store.close());

  const standing = (): Promise<number> => house().fixture.redis.hlen(shardKeys(0).standing);

  /** Submits tasks until one is handed over by the step that accepts it; the others are claimed like any. */
  async function handOver(): Promise<string> {
    const { functionId } = await store.registerFunction({ name: 'echo', payload: Buffer.from('echo') });
    let { taskId } = newTask();
    await until(async () => {
      const task = newTask({ functionId });
      let handed = 0;
      await house().fixture.store.submit([task], (count) => (handed = count));
      taskId = task.taskId;
      return handed === 1;
    });
    return taskId;
  }

  it('withdraws it: nothing is handed to it any more', async () => {
    const { dispatcher } = house().startDispatcher('one', store);
    await house().startWorker();
    await until(async () => (await standing()) === 1);
    await dispatcher.stop(0);
    expect(await standing()).to.equal(0);
  });

  it('gives back what it was handed and has not heard', async () => {
    const standBy: TaskStore['standBy'] = (claimant, hearer) => {
      store.standBy(claimant, { ...hearer, handedOver: () => undefined });
    };
    const { dispatcher } = house().startDispatcher('one', changed(store, { standBy }));
    await house().startWorker();
    const taskId = await handOver();
    await dispatcher.stop(0);
    expect(await store.readTask(taskId)).to.include({ state: 'queued', attempt: 0 });
  });

  it('withdraws the one as well that it was just making', async () => {
    let isHeld = false;
    let isUnderWay = false;
    let isMade = false;
    let letGo = (): void => undefined;
    const free = new Promise<void>((resolve) => (letGo = resolve));
    const claim: TaskStore['claim'] = async (...args) => {
      isUnderWay = isHeld;
      if (isHeld) await free;
      const made = await store.claim(...args);
      isMade = isHeld && made.stands === true;
      return made;
    };
    const { dispatcher } = house().startDispatcher('one', changed(store, { claim }));
    await house().startWorker();
    await until(async () => (await standing()) === 1);
    isHeld = true;
    await until(() => isUnderWay);
    await store.withdraw('dispatcher-one');
    const stopped = dispatcher.stop(10_000);
    letGo();
    await stopped;
    expect(isMade).to.equal(true);
    expect(await standing()).to.equal(0);
  });

  it('tries again when the store was away', async () => {
    let failures = 0;
    const withdraw: TaskStore['withdraw'] = (claimant) => {
      if (failures === 2) return store.withdraw(claimant);
      failures++;
      return Promise.reject(new PlatformError('STORE_UNAVAILABLE', 'Redis: no answer'));
    };
    const { dispatcher } = house().startDispatcher('one', changed(store, { withdraw }));
    await house().startWorker();
    await until(async () => (await standing()) === 1);
    await dispatcher.stop(0);
    expect(failures).to.equal(2);
    expect(await standing()).to.equal(0);
  });
});
