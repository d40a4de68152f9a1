import { expect } from 'chai';
import type { ControlMessage } from '../../bus/controlMessages.js';
import { connectRedis } from '../../bus/redis/connection.js';
import { hearStore } from '../../bus/redis/storeEvents.js';
import type { Settlement, SettleVerdict } from '../../bus/taskStore.js';
import { eventually } from '../support/eventually.js';
import { newTask, settlement, StoreFixture } from './support/storeFixture.js';

describe('what the store tells by itself', () => {
  let fixture: StoreFixture;
  let heard: ControlMessage[] = [];
  let silence: () => void;

  before(async () => {
    fixture = await StoreFixture.start({ shards: 2 });
  });
  beforeEach(async () => {
    await fixture.empty();
    heard = [];
    const nothing = { lost: () => undefined, restored: () => undefined };
    const listeners = [connectRedis(fixture.server.url, nothing), connectRedis(fixture.server.url, nothing)] as const;
    const hear = (message: ControlMessage): void => {
      heard.push(message);
    };
    await Promise.all([hearStore(listeners[0], 'queued', hear), hearStore(listeners[1], 'settled', hear)]);
    silence = () => {
      for (const listener of listeners) listener.disconnect();
    };
  });
  afterEach(() => {
    silence();
  });
  after(() => fixture.stop());

  /** What was settled, and which of it told. */
  async function settle(settlements: Settlement[]): Promise<{ verdicts: SettleVerdict[]; told: Settlement[] }> {
    const told: Settlement[] = [];
    const verdicts = await fixture.store.settle(settlements, (some) => told.push(...some));
    return { verdicts, told };
  }
  const countsHeard = (): number =>
    heard.reduce((sum, message) => sum + (message.type === 'tasks.queued' ? message.count : 0), 0);
  const endsHeard = () => heard.flatMap((message) => (message.type === 'tasks.settled' ? message.tasks : []));
  const byId = (a: { taskId: string }, b: { taskId: string }): number => a.taskId.localeCompare(b.taskId);

  it('is how many tasks were queued, and not those that are not: delayed, blocked, there before', async () => {
    const queued = [newTask(), newTask(), newTask(), newTask(), newTask()];
    const delayed = newTask({ delayMs: 60_000 });
    let told = 0;
    await fixture.store.submit([...queued, delayed], (count) => (told += count));
    expect(told).to.equal(5);
    await eventually('both shards are heard', () => countsHeard() === 5);
    told = 0;
    await fixture.store.submit([...queued, delayed, newTask({ dependsOn: [delayed.taskId] })], (count) => {
      told += count;
    });
    expect(told).to.equal(0);
  });

  it('is what was returned and raised, with the bytes, unless they are large', async () => {
    const [a, b, c] = await fixture.claimed(newTask(), newTask(), newTask());
    const failure = { type: 'UserException', message: 'no', exception: 'ValueError' } as const;
    const { verdicts, told } = await settle([
      settlement(a!, { payload: Buffer.from('value') }),
      settlement(b!, { event: 'task.raised', payload: Buffer.from('raised'), failure }),
      settlement(c!, { payload: Buffer.alloc(40_000) }),
    ]);
    expect(verdicts).to.deep.equal(['completed', 'failed', 'completed']);
    expect(told).to.have.length(3);
    await eventually('all three are heard', () => endsHeard().length === 3);
    expect(endsHeard().sort(byId)).to.deep.equal(
      [
        { taskId: a!.taskId, state: 'completed', payload: Buffer.from('value') },
        { taskId: b!.taskId, state: 'failed', payload: Buffer.from('raised'), failure },
        { taskId: c!.taskId, state: 'completed' },
      ].sort(byId),
    );
  });

  it('is nothing of a batch in which anything comes otherwise: refused, tried again', async () => {
    const [a, stale] = await fixture.claimed(newTask(), newTask());
    const retry = { maxRetries: 3, backoffMs: 0, backoffFactor: 1, maxBackoffMs: 0, jitter: 0 };
    const [raising] = await fixture.claimed(newTask({ retry }));
    const bases = ['ValueError', 'Exception'];
    const failure = { type: 'UserException', message: 'no', exception: 'ValueError', bases } as const;
    for (const odd of [
      settlement({ ...stale!, fence: '1:0' }),
      settlement(raising!, { event: 'task.raised', failure }),
      settlement(a!, { event: 'task.interrupted', failure: { type: 'WorkerFailure', message: 'gone' } }),
    ]) {
      expect((await settle([odd])).told).to.deep.equal([]);
    }
    const another = await fixture.another({ shards: 1 });
    const two = [newTask(), newTask()];
    await another.submit(two);
    const { claimed } = await another.claim('dispatcher', 2);
    const told: Settlement[] = [];
    const batch = [settlement(claimed[0]!), settlement({ ...claimed[1]!, fence: '1:0' })];
    expect(await another.settle(batch, (some) => told.push(...some))).to.deep.equal(['completed', 'stale']);
    expect(told).to.deep.equal([]);
    await another.close();
    expect(endsHeard()).to.deep.equal([]);
  });

  it('counts as told only when somebody listens', async () => {
    silence();
    await eventually('nobody listens', async () => (await fixture.redis.pubsub('CHANNELS', 'mpcsfaas.*')).length === 0);
    const task = newTask();
    let told = 0;
    await fixture.store.submit([task], (count) => (told += count));
    expect(told).to.equal(0);
    const { claimed } = await fixture.store.claim('dispatcher', 1);
    expect(await settle([settlement(claimed[0]!)])).to.deep.equal({ verdicts: ['completed'], told: [] });
  });

  it('comes again from a Redis that was away', async () => {
    await fixture.server.restart();
    await fixture.connected();
    await eventually('it is heard again', async () => {
      await fixture.store.submit([newTask()]);
      return countsHeard() > 0;
    });
  });
});
