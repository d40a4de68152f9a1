import { expect } from 'chai';
import { connectRedis } from '../../bus/redis/connection.js';
import type { RedisTaskStore } from '../../bus/redis/redisTaskStore.js';
import type { Claim, NewTask } from '../../bus/taskStore.js';
import { eventually } from '../support/eventually.js';
import { newTask, StoreFixture } from './support/storeFixture.js';

const LONG_MS = 60_000;
/** Of what is dropped in one step, at least; and at most, since a batch of entries is looked at to its end. */
const [LEAST, MOST] = [2_000, 2_500];

describe('many entries of cancelled tasks in a queue', function () {
  this.timeout(60_000);
  let fixture: StoreFixture;

  before(async () => {
    fixture = await StoreFixture.start();
  });
  beforeEach(() => fixture.empty());
  after(() => fixture.stop());

  const tasks = (count: number, more: Partial<NewTask> = {}): NewTask[] =>
    Array.from({ length: count }, () => newTask(more));
  const idsOf = (some: { taskId: string }[]): string[] => some.map(({ taskId }) => taskId);
  async function submitAndCancel(count: number, more: Partial<NewTask> = {}): Promise<void> {
    const cancelled = tasks(count, more);
    await fixture.store.submit(cancelled);
    await fixture.store.cancel(idsOf(cancelled));
  }
  /** Claims until one is not cut. */
  async function claimOn(limit: number): Promise<Claim[]> {
    const claims: Claim[] = [];
    do claims.push(await fixture.store.claim('dispatcher', limit));
    while (claims.at(-1)?.isCut);
    return claims;
  }

  for (const limit of [1, 256]) {
    it(`are dropped a bounded number at a time, by claims that say that there may be more (${limit} at a time)`, async () => {
      await submitAndCancel(5_000, { priority: 'high' });
      const live = tasks(3);
      await fixture.store.submit(live);
      let depth = await fixture.store.queueDepth();
      for (let cuts = 0; cuts < 2; cuts++) {
        expect(await fixture.store.claim('dispatcher', limit)).to.deep.equal({
          claimed: [],
          promoted: [],
          isCut: true,
        });
        const before = depth;
        depth = await fixture.store.queueDepth();
        expect(before - depth).to.be.within(LEAST, MOST);
      }
      const last = await fixture.store.claim('dispatcher', 3);
      expect(last.isCut).to.equal(undefined);
      expect(idsOf(last.claimed)).to.deep.equal(idsOf(live));
      expect(await fixture.store.queueDepth()).to.equal(0);
      expect(await fixture.redis.hget('{q:0}:counts', 'dead:1')).to.equal('0');
    });
  }

  it('cost no tenant its turn: what waits behind them is claimed', async () => {
    await submitAndCancel(5_000, { tenant: 'acme' });
    const own = tasks(2, { tenant: 'acme' });
    const others = [newTask({ tenant: 'zoo' }), newTask()];
    await fixture.store.submit([...own, ...others]);
    const claims = await claimOn(10);
    expect(claims.length).to.be.greaterThan(2);
    expect(idsOf(claims.flatMap(({ claimed }) => claimed))).to.have.members(idsOf([...own, ...others]));
    expect(await fixture.store.queueDepth()).to.equal(0);
  });

  it('keep a claim from standing: it is to be followed by another', async () => {
    const store = await listening();
    await submitAndCancel(2_100);
    const claims = [await store.claim('one', 1, 'n1', undefined, undefined, LONG_MS)];
    expect(claims[0]).to.include({ isCut: true }).and.not.to.have.property('stands');
    expect(await store.claim('one', 1, 'n2', undefined, undefined, LONG_MS)).to.include({ stands: true });
    await store.close();
  });

  it('end a hand-over as well, whose tasks stay in the queue, to be announced', async () => {
    const store = await listening();
    // What is given back is not handed over.
    const given = tasks(5_000);
    await fixture.store.submit(given);
    const claims = await claimOn(500);
    while (claims.at(-1)!.claimed.length > 0) claims.push(...(await claimOn(500)));
    expect(await store.claim('one', 10, 'n1', undefined, undefined, LONG_MS)).to.include({ stands: true });
    await fixture.store.release(claims.flatMap(({ claimed }) => claimed));
    await fixture.store.cancel(idsOf(given));
    const live = tasks(2);
    let handedOver = 0;
    await fixture.store.submit(live, (count) => (handedOver += count));
    expect(handedOver).to.equal(0);
    expect(await fixture.store.queueDepth()).to.be.within(5_002 - MOST, 5_002 - LEAST);
    const after = await claimOn(10);
    expect(idsOf(after.flatMap(({ claimed }) => claimed))).to.deep.equal(idsOf(live));
    await store.close();
  });

  /** A store whose claims may stand. */
  async function listening(): Promise<RedisTaskStore> {
    const listener = () => connectRedis(fixture.server.url, { lost: () => undefined, restored: () => undefined });
    const store = await fixture.another({ listener });
    store.standBy('one', { handedOver: () => undefined, cutOff: () => undefined });
    await eventually('it may stand', async () => {
      return (await store.claim('one', 1, 'n0', undefined, undefined, LONG_MS)).stands === true;
    });
    await store.withdraw('one');
    return store;
  }
});
