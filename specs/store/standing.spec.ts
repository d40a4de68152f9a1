import { expect } from 'chai';
import type { SettledTask } from '../../bus/controlMessages.js';
import { connectRedis } from '../../bus/redis/connection.js';
import type { Failure } from '../../bus/messages.js';
import type { RedisTaskStore } from '../../bus/redis/redisTaskStore.js';
import type { Claim } from '../../bus/taskStore.js';
import { eventually } from '../support/eventually.js';
import { MOST_HAND_OVERS } from '../../bus/nonce.js';
import { newTask, settlement, StoreFixture } from './support/storeFixture.js';

const LONG_MS = 60_000;

describe('what waits in Redis for its answer', () => {
  let fixture: StoreFixture;
  let store: RedisTaskStore;
  const stores: RedisTaskStore[] = [];
  const handed: { nonce: string; claim: Claim; standsOn: boolean }[] = [];
  const ended: SettledTask[] = [];
  let cuts = 0;

  /** A store that listens, as a process of its own has. */
  async function open(options: { shards?: number } = {}): Promise<RedisTaskStore> {
    const { url } = fixture.server;
    const listener = () => connectRedis(url, { lost: () => undefined, restored: () => undefined });
    const opened = await fixture.another({ ...options, listener });
    stores.push(opened);
    return opened;
  }
  const listeners = async (): Promise<number> => {
    const counts = await fixture.redis.pubsub('NUMSUB', 'handed:one', 'ended:reader');
    return Number(counts[1]) + Number(counts[3]);
  };

  before(async () => {
    fixture = await StoreFixture.start();
  });
  beforeEach(async () => {
    await fixture.empty();
    handed.length = ended.length = cuts = 0;
    store = await open();
    store.standBy('one', {
      handedOver: (nonce, claim, standsOn) => handed.push({ nonce, claim, standsOn }),
      cutOff: () => cuts++,
    });
    store.hearEnds('reader', (tasks) => ended.push(...tasks));
    await eventually('both are heard', async () => (await listeners()) === 2);
  });
  afterEach(async () => {
    for (const opened of stores.splice(0)) await opened.close();
    await eventually('nobody listens', async () => (await listeners()) === 0);
  });
  after(() => fixture.stop());

  /** How many the step that accepts them has handed over. */
  async function submit(...tasks: ReturnType<typeof newTask>[]): Promise<number> {
    let count = 0;
    await fixture.store.submit(tasks, (some) => (count += some));
    return count;
  }
  const idsOf = ({ claimed }: Claim): string[] => claimed.map(({ taskId }) => taskId);

  describe('a claim that stands', () => {
    it('gets the next tasks with all that a claim tells, once, as much as it asked for', async () => {
      const first = await store.claim('one', 2, 'n1', undefined, undefined, LONG_MS);
      expect(first).to.deep.equal({ claimed: [], promoted: [], stands: true });
      const tasks = [newTask({ arguments: Buffer.from([0, 10, 255, 200]) }), newTask({ timeoutMs: 50 }), newTask()];
      expect(await submit(...tasks)).to.equal(2);
      await eventually('it is heard', () => handed.length === 1);
      const [{ nonce, claim, standsOn }] = handed as [(typeof handed)[0]];
      expect([nonce, standsOn]).to.deep.equal(['n1+', false]);
      expect(claim.claimed.map(({ waitedMs, ...rest }) => ({ ...rest, waited: waitedMs! < 1_000 }))).to.deep.equal(
        tasks.slice(0, 2).map(({ taskId, functionId, arguments: bytes, timeoutMs }) => {
          return { taskId, functionId, arguments: bytes, timeoutMs, attempt: 1, fence: '1:n1+', waited: true };
        }),
      );
      expect(await submit(newTask())).to.equal(0);
      expect(await store.findClaims(['n1+'])).to.have.length(2);
      expect(await fixture.store.readStatuses([tasks[0]!.taskId, tasks[2]!.taskId])).to.deep.equal([
        'running',
        'queued',
      ]);
    });

    it('stands on for the rest of what it asked for, under another nonce each time', async () => {
      await store.claim('one', 3, 'n1', undefined, undefined, LONG_MS);
      for (const time of [1, 2]) {
        expect(await submit(newTask())).to.equal(1);
        await eventually('it is heard', () => handed.length === time);
      }
      expect(handed.map(({ nonce, standsOn }) => [nonce, standsOn])).to.deep.equal([
        ['n1+', true],
        ['n1+1', true],
      ]);
      expect(handed[1]!.claim.claimed[0]!.fence).to.equal('1:n1+1');
      expect(await submit(newTask(), newTask())).to.equal(1);
      await eventually('it is heard', () => handed.length === 3);
      expect([handed[2]!.nonce, handed[2]!.standsOn]).to.deep.equal(['n1+2', false]);
    });

    it('is handed something so many times, and is told of by the next under which it would be', async () => {
      await store.claim('one', 100, 'n1', undefined, undefined, LONG_MS);
      for (let time = 0; time < MOST_HAND_OVERS + 1; time++) await submit(newTask());
      await eventually('all are heard', () => handed.length === MOST_HAND_OVERS);
      expect(handed.map(({ standsOn }) => standsOn).lastIndexOf(true)).to.equal(MOST_HAND_OVERS - 2);
      await store.claim('one', 100, 'n2', undefined, undefined, LONG_MS);
      await submit(newTask());
      expect(await store.withdraw('one')).to.equal('n2+1');
    });

    it('does not stand on beside the claim of another: they take turns', async () => {
      const other = await open();
      let others = 0;
      other.standBy('two', { handedOver: () => others++, cutOff: () => undefined });
      await eventually('it may stand', async () => {
        return (await other.claim('two', 5, 'm1', undefined, undefined, LONG_MS)).stands === true;
      });
      await store.claim('one', 5, 'n1', undefined, undefined, LONG_MS);
      expect(await submit(newTask())).to.equal(1);
      expect(await submit(newTask())).to.equal(1);
      await eventually('both are heard', () => handed.length === 1 && others === 1);
    });

    it('stands with what it has not got, and large arguments come with it', async () => {
      await submit(newTask());
      const first = await store.claim('one', 3, 'n1', undefined, undefined, LONG_MS);
      expect(first.claimed).to.have.length(1);
      const large = newTask({ arguments: Buffer.alloc(100_000, 7) });
      expect(await submit(large, newTask(), newTask())).to.equal(2);
      await eventually('it is heard', () => handed.length === 1);
      expect(handed[0]!.claim.claimed[0]!.arguments.equals(large.arguments)).to.equal(true);
    });

    it('is told what it gets in order, though large arguments take another read', async () => {
      for (let round = 0; round < 10; round++) {
        await store.claim('one', 2, `n${round}`, undefined, undefined, LONG_MS);
        const [large, small] = [newTask({ arguments: Buffer.alloc(100_000, 7) }), newTask()];
        expect(await Promise.all([submit(large), submit(small)])).to.deep.equal([1, 1]);
        await eventually('both are heard', () => handed.length === 2);
        const heard = handed.splice(0).map(({ nonce, claim }) => [nonce, ...idsOf(claim)]);
        expect(heard).to.deep.equal([
          [`n${round}+`, large.taskId],
          [`n${round}+1`, small.taskId],
        ]);
      }
    });

    it('is replaced by the next one, which tells that it stood', async () => {
      await store.claim('one', 2, 'n1', undefined, undefined, LONG_MS);
      expect(await store.claim('one', 2, 'n2', undefined, undefined, LONG_MS)).to.include({
        stood: 'n1+',
        stands: true,
      });
      await submit(newTask());
      await eventually('it is heard', () => handed.length === 1);
      expect(handed[0]!.nonce).to.equal('n2+');
      expect(await store.claim('one', 2, 'n3')).to.deep.equal({ claimed: [], promoted: [], stood: 'n2+1' });
      expect(await store.claim('one', 2, 'n4')).not.to.have.any.keys('stood', 'stands');
    });

    it('gets nothing when its time is over, when nobody listens, or when its workers cannot run it', async () => {
      const labelled = [{ capabilities: { labels: ['gpu'], python: '' }, credit: 1 }];
      await store.claim('one', 1, 'n1', undefined, labelled, LONG_MS);
      expect(await submit(newTask({ requirement: 'eu' }))).to.equal(0);
      await store.claim('one', 1, 'n2', undefined, undefined, 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(await submit(newTask())).to.equal(0);
      await store.claim('one', 5, 'n3');
      await store.claim('one', 1, 'n4', undefined, undefined, LONG_MS);
      store.hangUp();
      await eventually('nobody listens', async () => (await listeners()) === 0);
      expect(await submit(newTask())).to.equal(0);
      expect(handed).to.deep.equal([]);
    });

    it('gets due tasks as well, and tells of them', async () => {
      const delayed = newTask({ delayMs: LONG_MS });
      await submit(delayed);
      await store.claim('one', 2, 'n1', undefined, undefined, LONG_MS);
      await fixture.makeDue(delayed.taskId);
      expect(await submit(newTask())).to.equal(2);
      await eventually('it is heard', () => handed.length === 1);
      expect(handed[0]!.claim.promoted).to.deep.equal([{ taskId: delayed.taskId, from: 'delayed' }]);
    });

    it('does not stand with several shards: each would promise the same', async () => {
      const sharded = await open({ shards: 2 });
      sharded.standBy('two', { handedOver: () => undefined, cutOff: () => undefined });
      expect(await sharded.claim('two', 2, 'n1', undefined, undefined, LONG_MS)).not.to.have.property('stands');
    });

    it('is told of a lost connection, and stands again on the next', async () => {
      await store.claim('one', 2, 'n1', undefined, undefined, LONG_MS);
      await fixture.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await eventually('it is told', () => cuts === 1);
      await eventually('both are heard again', async () => (await listeners()) === 2);
      await eventually('it may stand', async () => {
        return (await store.claim('one', 2, 'n2', undefined, undefined, LONG_MS)).stands === true;
      });
      const task = newTask();
      expect(await submit(task)).to.equal(1);
      await eventually('it is heard', () => handed.length === 1);
      expect(idsOf(handed[0]!.claim)).to.deep.equal([task.taskId]);
    });
  });

  describe('who reads the end of a task from its submission on', () => {
    it('hears of it with the value or the exception, unless that is large', async () => {
      const [value, raised, large, unread] = await fixture.claimed(
        ...[0, 1, 2].map(() => newTask({ reader: 'reader' })),
        newTask(),
      );
      const failure = { type: 'UserException', message: 'no', exception: 'ValueError' } as const;
      await fixture.store.settle([
        settlement(value!, { payload: Buffer.from([128, 5, 10, 255]) }),
        settlement(raised!, { event: 'task.raised', payload: Buffer.from('raised'), failure }),
        settlement(large!, { payload: Buffer.alloc(100_000) }),
        settlement(unread!),
      ]);
      await eventually('all are heard', () => ended.length === 3);
      expect(ended).to.deep.equal([
        { taskId: value!.taskId, state: 'completed', payload: Buffer.from([128, 5, 10, 255]) },
        { taskId: raised!.taskId, state: 'failed', payload: Buffer.from('raised'), failure },
        { taskId: large!.taskId, state: 'completed' },
      ]);
    });

    it('is counted where it heard, when all have ended as usual', async () => {
      const told: number[] = [];
      const claimed = await fixture.claimed(
        newTask({ reader: 'reader' }),
        newTask(),
        newTask({ reader: 'somebody who has left' }),
        newTask({ reader: 'reader' }),
      );
      await fixture.store.settle(
        claimed.slice(0, 3).map((task) => settlement(task)),
        (count) => told.push(count),
      );
      await fixture.store.settle([settlement(claimed[3]!), settlement(claimed[0]!)], (count) => told.push(count));
      expect(told).to.deep.equal([1]);
    });

    it('hears nothing of what is no end: refused, tried again', async () => {
      const retry = { maxRetries: 3, backoffMs: 0, backoffFactor: 1, maxBackoffMs: 0, jitter: 0 };
      const [stale, again] = await fixture.claimed(newTask({ reader: 'reader' }), newTask({ reader: 'reader', retry }));
      const failure: Failure = { type: 'UserException', message: 'no', exception: 'E', bases: ['Exception'] };
      await fixture.store.settle([
        settlement({ ...stale!, fence: '1:other' }),
        settlement(again!, { event: 'task.raised', failure }),
      ]);
      await fixture.store.settle([settlement(stale!)]);
      await eventually('the end is heard', () => ended.length > 0);
      expect(ended.map(({ taskId }) => taskId)).to.deep.equal([stale!.taskId]);
    });
  });
});
