import { expect } from 'chai';
import type { NewTask } from '../../bus/taskStore.js';
import { newTask, settlement, StoreFixture } from './support/storeFixture.js';

describe('tenants that take turns', function () {
  this.timeout(60_000);
  let fixture: StoreFixture;

  before(async () => {
    fixture = await StoreFixture.start();
  });
  after(() => fixture.stop());
  beforeEach(() => fixture.empty());

  const tasks = (count: number, more: Partial<NewTask> = {}): NewTask[] =>
    Array.from({ length: count }, () => newTask(more));
  async function submit(...batch: NewTask[]): Promise<void> {
    for (let from = 0; from < batch.length; from += 500) await fixture.store.submit(batch.slice(from, from + 500));
  }
  /** Whose the next tasks are, claimed so many at a time. */
  async function turns(count: number, atOnce: number, labels: string[] = []): Promise<string[]> {
    const whose: string[] = [];
    while (whose.length < count) {
      const offers = [{ capabilities: { labels, python: '' }, credit: atOnce }];
      const { claimed } = await fixture.store.claim('dispatcher', atOnce, undefined, undefined, offers);
      if (claimed.length === 0) break;
      for (const { taskId } of claimed) whose.push((await fixture.store.readTask(taskId))?.tenant ?? 'default');
    }
    return whose;
  }
  const countOf = (whose: string[], tenant: string): number => whose.filter((one) => one === tenant).length;

  for (const atOnce of [1, 3, 8]) {
    it(`give one task after the other, whatever each has queued (${atOnce} at a time)`, async () => {
      await submit(...tasks(600, { tenant: 'busy' }), ...tasks(60, { tenant: 'small' }), ...tasks(300));
      const whose = await turns(120, atOnce);
      for (const tenant of ['busy', 'small', 'default']) {
        for (let end = 24; end <= 120; end += 24) {
          expect(countOf(whose.slice(0, end), tenant), `${tenant} of ${end}`).to.be.closeTo(end / 3, atOnce);
        }
      }
      // What is left goes to who still has something.
      const rest = await turns(Infinity, 200);
      expect(rest.length + whose.length).to.equal(960);
    });
  }

  it('come at once for one that begins to wait', async () => {
    await submit(...tasks(1_000, { tenant: 'busy' }));
    await turns(500, 8);
    await submit(newTask({ tenant: 'late' }));
    expect(await turns(2, 1)).to.include('late');
    await submit(newTask());
    expect(await turns(2, 1)).to.include('default');
  });

  it('cannot be saved while there is nothing to do, nor won by asking for little at a time', async () => {
    await submit(...tasks(400, { tenant: 'busy' }), newTask({ tenant: 'idle' }));
    await turns(200, 4);
    await submit(...tasks(400, { tenant: 'idle' }));
    expect(countOf(await turns(40, 1), 'idle')).to.be.closeTo(20, 1);
    const whose: string[] = [];
    for (let n = 0; n < 40; n++) {
      await submit(newTask({ tenant: 'sly' }));
      whose.push(...(await turns(1, 1)));
    }
    expect(countOf(whose, 'sly')).to.be.at.most(15);
  });

  it('are not multiplied by labels', async () => {
    const labels = Array.from({ length: 20 }, (_, n) => `l${n}`);
    for (const label of labels) await submit(...tasks(50, { tenant: 'busy', requirement: label }));
    await submit(...tasks(50, { tenant: 'small' }));
    expect(countOf(await turns(40, 1, labels), 'small')).to.be.closeTo(20, 2);
  });

  it('are kept by whatever puts a task back', async () => {
    await submit(...tasks(3, { tenant: 'acme', requirement: 'gpu' }), ...tasks(3, { tenant: 'zoo' }));
    const offers = [{ capabilities: { labels: ['gpu'], python: '' }, credit: 6 }];
    const { claimed } = await fixture.store.claim('dispatcher', 6, undefined, undefined, offers);
    expect(claimed).to.have.length(6);
    const [first, second, ...others] = claimed;
    await fixture.store.release([first!, second!]);
    const failure = { type: 'ProcessCrashed', message: 'it crashed' } as const;
    await fixture.store.settle(others.map((task) => settlement(task, { event: 'task.interrupted', failure })));
    expect(await fixture.store.queueDepth()).to.equal(6);
    const again = await turns(6, 6, ['gpu']);
    expect([countOf(again, 'acme'), countOf(again, 'zoo')]).to.deep.equal([3, 3]);
  });

  it('cost a bounded amount with a thousand tenants', async () => {
    const whose = Array.from({ length: 1_000 }, (_, n) => `t${n}`);
    for (const tenant of whose) await fixture.store.submit(tasks(3, { tenant }));
    const first = await turns(1_000, 1);
    expect(new Set(first).size).to.equal(1_000);
    await fixture.redis.config('RESETSTAT');
    await fixture.store.claim('dispatcher', 100);
    const stats = await fixture.redis.info('commandstats');
    const calls = [...stats.matchAll(/calls=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
    expect(calls).to.be.below(100 * 10);
  });

  it('cost nothing where there is one tenant alone: the same commands as ever', async () => {
    await submit(...tasks(10));
    await fixture.store.claim('dispatcher', 1);
    await fixture.redis.config('RESETSTAT');
    await fixture.store.claim('dispatcher', 2);
    const stats = await fixture.redis.info('commandstats');
    const called: Record<string, number> = Object.fromEntries(
      [...stats.matchAll(/cmdstat_([^:|]+):calls=(\d+)/g)].map(([, name = '', count]): [string, number] => [
        name,
        Number(count),
      ]),
    );
    expect(called).to.include({ rpop: 2, hget: 1, zrange: 1, zadd: 1, hset: 2, hmget: 2 });
    expect(called).not.to.have.any.keys('zcard', 'zscore', 'zmscore');
  });
});
