import { expect } from 'chai';
import type { ClaimedTask } from '../../bus/taskStore.js';
import { newTask, settlement, StoreFixture } from './support/storeFixture.js';

const COUNT = 5_000;

for (const shards of [1, 3]) {
  describe(`a batch of ${COUNT} tasks on ${shards} shard(s)`, () => {
    let fixture: StoreFixture;
    const tasks = Array.from({ length: COUNT }, (_, i) => newTask({ arguments: Buffer.from(String(i)) }));
    const ids = tasks.map(({ taskId }) => taskId);
    const claimed: ClaimedTask[] = [];

    before(async () => {
      fixture = await StoreFixture.start({ shards });
    });
    after(() => fixture.stop());

    it('is submitted in one call, and again without effect', async () => {
      expect(new Set(await fixture.store.submit(tasks))).to.deep.equal(new Set(['accepted']));
      expect(new Set(await fixture.store.submit(tasks))).to.deep.equal(new Set(['existing']));
      expect(await fixture.store.queueDepth()).to.equal(COUNT);
    });

    it('is claimed, each task once', async () => {
      for (;;) {
        const claim = await fixture.store.claim('d', COUNT);
        if (claim.claimed.length === 0) break;
        claimed.push(...claim.claimed);
      }
      expect(claimed.map(({ taskId }) => taskId)).to.have.members(ids);
      if (shards === 1) expect(claimed.map(({ taskId }) => taskId)).to.deep.equal(ids);
    });

    it('is renewed, released and claimed again', async () => {
      const worker = 'w';
      expect(new Set(await fixture.store.renew(claimed.map((task) => ({ ...task, worker }))))).to.deep.equal(
        new Set([true]),
      );
      const half = claimed.splice(0, COUNT / 2);
      expect(new Set(await fixture.store.release(half))).to.deep.equal(new Set([true]));
      while (claimed.length < COUNT) claimed.push(...(await fixture.store.claim('d', COUNT)).claimed);
    });

    it('is settled, answered in its order, and read back', async () => {
      const settlements = claimed.map((task) => settlement(task, { payload: task.arguments }));
      const [stale] = settlements.splice(COUNT / 2, 1);
      const mixed = settlements.toSpliced(1_234, 0, { ...stale!, fence: '0:wrong' });
      const verdicts = await fixture.store.settle(mixed);
      expect(verdicts.filter((verdict) => verdict === 'completed')).to.have.length(COUNT - 1);
      expect(verdicts[1_234]).to.equal('stale');
      await fixture.store.settle([stale!]);
      const outcomes = await fixture.store.readOutcomes(ids);
      expect(
        outcomes.every((outcome, i) => outcome!.state === 'completed' && outcome!.payload.toString() === String(i)),
      ).to.equal(true);
    });

    it('leaves no lease and no queue entry behind', async () => {
      const keys = (await fixture.redis.keys('*')).filter((key) => !/:task:|:recent$|:counts$/.test(key));
      expect(keys).to.deep.equal([]);
    });
  });
}
