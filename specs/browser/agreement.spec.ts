import { expect } from 'chai';
import { Redis } from 'ioredis';
import type { Page } from 'playwright-core';
import { until } from '../store/support/until.js';
import { rowsOf, useDashboard } from './support/dashboard.js';

const FUNCTIONS = {
  returning: 'def f(n):\n    return n\n',
  raising: 'def f(n):\n    raise ValueError(n)\n',
  crashing: 'def f(n):\n    import os\n    os._exit(7)\n',
  sleeping: 'def f(n):\n    import time\n    time.sleep(60)\n',
};
type Kind = keyof typeof FUNCTIONS;

/** What is submitted, in parts that are mixed: 20,000 tasks together. */
const PARTS: readonly { kind: Kind; tasks: number; options?: object }[] = [
  { kind: 'sleeping', tasks: 6, options: { timeout_s: 0.2 } },
  ...Array.from({ length: 8 }, () => [
    { kind: 'returning', tasks: 1_990 } as const,
    { kind: 'raising', tasks: 505 } as const,
    { kind: 'crashing', tasks: 1, options: { max_attempts: 1 } } as const,
  ]).flat(),
  { kind: 'sleeping', tasks: 4, options: { priority: 'high' } },
  { kind: 'returning', tasks: 22, options: { delay_s: 3_600 } },
];
const TASKS = PARTS.reduce((sum, { tasks }) => sum + tasks, 0);
const CANCELLED_WHILE_QUEUED = 2_000;
/** Nothing goes on in these, as long as the delay lasts. */
const ENDS = ['completed', 'failed', 'cancelled', 'delayed'];
const BURST_MS = 120_000;

/** How many tasks there are by state, by function and state, and by failure. */
interface Count {
  total: number;
  states: Map<string, number>;
  functions: Map<string, number>;
  failures: Map<string, number>;
}

describe('The numbers of the dashboard', function () {
  this.timeout(BURST_MS + 60_000);
  const dashboard = useDashboard({ workers: 2, slots: 2 });
  const functionIds = new Map<Kind, string>();
  let counted: Count;

  before(async function () {
    this.timeout(BURST_MS);
    const { platform, client, python } = dashboard();
    const payload = await python.pickleArguments([1]);
    const ids: { kind: Kind; ids: string[] }[] = [];
    for (const { kind, tasks, options } of PARTS) {
      functionIds.set(kind, await client.register(FUNCTIONS[kind]));
      const payloads = Array.from({ length: tasks }, () => payload);
      const request = { function_id: functionIds.get(kind), payloads, ...options };
      const { status, body } = await platform.call('POST', '/tasks', request);
      expect(status, JSON.stringify(body)).to.equal(200);
      ids.push({ kind, ids: (body as { task_ids: string[] }).task_ids });
    }
    expect(ids.flatMap((part) => part.ids)).to.have.length(20_000);
    // The last are still waiting, and some of the sleeping ones run.
    const waiting = ids.filter(({ kind }) => kind === 'returning').flatMap((part) => part.ids);
    const unwanted = [...waiting.slice(-CANCELLED_WHILE_QUEUED - 22, -11), ...ids.at(-2)!.ids];
    for (let from = 0; from < unwanted.length; from += 1_000) {
      await platform.call('POST', '/tasks/cancel', { task_ids: unwanted.slice(from, from + 1_000) });
    }
    await until(async () => {
      counted = await countInRedis(platform.redis.url);
      return ENDS.reduce((sum, state) => sum + of(counted.states, state), 0) === counted.total;
    }, BURST_MS);
    expect(counted.total).to.equal(TASKS);
    for (const state of ENDS) expect(of(counted.states, state)).to.be.above(10);
    for (const failure of ['UserException', 'ProcessCrashed', 'Timeout'])
      expect(of(counted.failures, failure)).to.be.above(5);
  });

  it('of the machines are those of the API and of Redis', async () => {
    const { open, platform } = dashboard();
    const page = await open('#/');
    const ended = ['completed', 'failed', 'cancelled', 'delayed'].map((state) => [state, of(counted.states, state)]);
    const expected = { ...Object.fromEntries(ended), queued: 0, running: 0, retrying: 0, blocked: 0 } as object;
    const counts = `Object.fromEntries([...document.querySelectorAll('.machine-task [data-state]')]
      .filter((state) => state.dataset.state !== 'new').map((state) => [state.dataset.state, Number(state.dataset.count)]))`;
    await page.locator('.machine-task [data-state="queued"]').waitFor();
    await until(async () => expect(await page.evaluate(counts)).to.deep.equal(expected));
    const { tasks } = (await platform.call('GET', '/stats')).body as { tasks: object };
    expect(tasks).to.deep.equal(expected);
  });

  it('of functions are those of the API and of Redis', async () => {
    const { open, platform } = dashboard();
    const page = await open('#/functions');
    for (const [kind, id] of functionIds) {
      const row = rowsOf(page, 'Functions').filter({ has: page.locator(`a[href="#/tasks?function=${id}"]`) });
      const expected = {
        completed: of(counted.functions, `${id} completed`),
        failed: of(counted.functions, `${id} failed`),
      };
      // A heartbeat brings the last of them.
      await until(async () => (await numberIn(row.locator('td[data-head="Completed"]'))) === expected.completed);
      expect(await numberIn(row.locator('td[data-head="Failed"]')), kind).to.equal(expected.failed);
      const { runs } = (await platform.call('GET', `/functions/${id}`)).body as { runs: Record<string, number> };
      expect(runs).to.include(expected);
    }
  });

  it('of dispatchers and workers are those of the API and of Redis', async () => {
    const { open, platform } = dashboard();
    const page = await open('#/workers');
    const row = rowsOf(page, 'Dispatchers').first();
    const [completed, failed] = [of(counted.states, 'completed'), of(counted.states, 'failed')];
    await until(async () => (await numberIn(row.locator('td[data-head="Completed"]'))) === completed);
    expect(await numberIn(row.locator('td[data-head="Failed"]'))).to.equal(failed);
    expect(await numberIn(row.locator('td[data-head="In flight"]'))).to.equal(0);
    const { dispatchers } = (await platform.call('GET', '/dispatchers')).body as { dispatchers: object[] };
    expect(dispatchers[0]).to.include({ completed, failed, in_flight: 0, unsettled: 0, workers: 2, slots: 4 });
    await page.getByText('2 workers, 0 of 4 slots busy').waitFor();
  });

  it('of lists are those of the API and of Redis', async () => {
    const { open, platform } = dashboard();
    for (const status of ['COMPLETED', 'FAILED', 'CANCELLED', 'QUEUED']) {
      const state = status === 'QUEUED' ? 'delayed' : status.toLowerCase();
      expect(await lengthOf(platform, `status=${status}`), status).to.equal(of(counted.states, state));
    }
    expect(await lengthOf(platform, '')).to.equal(counted.total);
    for (const failure of ['UserException', 'ProcessCrashed', 'Timeout']) {
      expect(await lengthOf(platform, `failure=${failure}`), failure).to.equal(of(counted.failures, failure));
    }
    const page = await open('#/tasks?failure=Timeout');
    await showsRows(page, of(counted.failures, 'Timeout'));
    await page.getByLabel('Failure').selectOption('ProcessCrashed');
    await showsRows(page, of(counted.failures, 'ProcessCrashed'));
    await page.getByLabel('Failure').selectOption('');
    await page.getByLabel('Status').selectOption('QUEUED');
    await showsRows(page, of(counted.states, 'delayed'));
    await page.getByLabel('Status').selectOption('FAILED');
    await showsRows(page, 50);
  });
});

const of = (counts: ReadonlyMap<string, number>, name: string): number => counts.get(name) ?? 0;

const numberIn = async (place: { textContent(): Promise<string | null> }): Promise<number> =>
  Number((await place.textContent())?.replaceAll(',', ''));

const showsRows = (page: Page, count: number) => until(async () => (await rowsOf(page, 'Tasks').count()) === count);

async function lengthOf(
  platform: ReturnType<ReturnType<typeof useDashboard>>['platform'],
  filter: string,
): Promise<number> {
  let length = 0;
  for (let cursor: string | null = ''; cursor !== null;) {
    const path = `/tasks?limit=1000&${filter}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const { body } = await platform.call('GET', path);
    const page = body as { tasks: unknown[]; cursor: string | null };
    length += page.tasks.length;
    cursor = page.cursor;
  }
  return length;
}

/** Looks at every task there is, by nothing of the platform but where tasks lie. */
async function countInRedis(url: string): Promise<Count> {
  const redis = new Redis(url);
  const count: Count = { total: 0, states: new Map(), functions: new Map(), failures: new Map() };
  const add = (counts: Map<string, number>, name: string) => counts.set(name, of(counts, name) + 1);
  try {
    // A key may be seen twice.
    const keys = new Set<string>();
    for await (const found of redis.scanStream({ match: '{q:*}:task:*', count: 1_000 })) {
      for (const key of found as string[]) keys.add(key);
    }
    const all = [...keys];
    for (let from = 0; from < all.length; from += 1_000) {
      const pipeline = redis.pipeline();
      for (const key of all.slice(from, from + 1_000)) pipeline.hmget(key, 'state', 'function', 'failure');
      for (const [error, fields] of (await pipeline.exec()) ?? []) {
        if (error) throw error;
        const [state, functionId, failure] = fields as [string, string, string | null];
        count.total++;
        add(count.states, state);
        add(count.functions, `${functionId} ${state}`);
        if (state === 'failed') add(count.failures, (JSON.parse(failure ?? '{}') as { type: string }).type);
      }
    }
    return count;
  } finally {
    redis.disconnect();
  }
}
