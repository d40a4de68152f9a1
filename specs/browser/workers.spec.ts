import { expect } from 'chai';
import { HOLD } from '../support/gate.js';
import { until } from '../store/support/until.js';
import { rowsOf, useDashboard } from './support/dashboard.js';

const NAP = 'def f():\n    import time\n    time.sleep(0.05)\n';
const RAISE = 'def f(n):\n    raise ValueError(n)\n';

describe("The dashboard's workers and functions", function () {
  this.timeout(60_000);
  const dashboard = useDashboard({ workers: 2, slots: 2 });

  it('show who is there, what they run, what they have warm', async () => {
    const { open, client, platform, newGate } = dashboard();
    const page = await open('#/workers');
    await rowsOf(page, 'Workers').nth(1).waitFor();
    expect(await rowsOf(page, 'Workers').count()).to.equal(2);
    await page.getByText('2 workers, 0 of 4 slots busy').waitFor();
    const gate = newGate();
    const ids = await client.submit(HOLD, Array(3).fill([gate.path]));
    await page.getByText('2 workers, 3 of 4 slots busy').waitFor();
    expect(await page.locator('.slot.taken').count()).to.equal(3);
    await rowsOf(page, 'Workers').getByRole('link', { name: 'f', exact: true }).first().waitFor();
    const { workers } = (await platform.call('GET', '/workers')).body as { workers: Record<string, string>[] };
    for (const { name, python_version } of workers) {
      const text = await rowsOf(page, 'Workers').filter({ hasText: name! }).textContent();
      expect(text).to.contain(`cpython ${python_version}`);
    }
    gate.open();
    await client.results(ids);
    await page.getByText('2 workers, 0 of 4 slots busy').waitFor();
  });

  it('have a worker drained, which finishes what it runs and leaves', async () => {
    const { open, client, platform, newGate } = dashboard();
    const gate = newGate();
    const ids = await client.submit(HOLD, Array(4).fill([gate.path]));
    const page = await open('#/workers');
    await page.getByText('4 of 4 slots busy').first().waitFor();
    const name = (await rowsOf(page, 'Workers').first().getByRole('rowheader').textContent())!;
    await page.getByRole('button', { name: `Drain worker ${name}` }).click();
    const question = page.getByRole('dialog', { name: `Drain the worker ${name}?` });
    await question.getByRole('button', { name: 'Leave it' }).click();
    await question.waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: `Drain worker ${name}` }).click();
    await question.getByRole('button', { name: 'Drain it' }).click();
    await page.getByText(`The worker ${name} was told to drain.`).waitFor();
    await rowsOf(page, 'Workers').filter({ hasText: name }).getByText('draining').waitFor();
    gate.open();
    for (const { status } of await client.results(ids)) expect(status).to.equal('COMPLETED');
    await page.getByText('1 worker, 0 of 2 slots busy').waitFor();
    await until(async () => platform.workers.filter(({ running }) => running).length === 1, 10_000);
    expect(await page.getByRole('button', { name: /^Drain worker/ }).count()).to.equal(1);
  });

  it('show how long functions take, and how often they fail', async () => {
    const { open, client, platform } = dashboard();
    await client.results(
      await client.submit(
        NAP,
        Array.from({ length: 20 }, () => []),
      ),
    );
    const page = await open('#/functions');
    const id = await client.register(NAP);
    const row = rowsOf(page, 'Functions').filter({ has: page.locator(`a[href="#/tasks?function=${id}"]`) });
    const cell = (head: string) => row.locator(`td[data-head="${head}"]`).textContent();
    await until(async () => (await cell('Completed')) === '20', 10_000);
    const { runs } = (await platform.call('GET', `/functions/${id}`)).body as { runs: Record<string, number> };
    expect(runs).to.include({ completed: 20, failed: 0 });
    // Seconds or nanoseconds would be far off; a nap may last longer on a busy machine.
    expect(runs['mean_us']).to.be.within(50_000, 250_000);
    expect(runs['p50_us']).to.be.within(45_000, 250_000);
    expect(await cell('Mean')).to.equal(`${Math.round(runs['mean_us']! / 1000)} ms`);
    expect(await cell('p95')).to.equal(`${Math.round(runs['p95_us']! / 1000)} ms`);
    await row.getByRole('link').first().click();
    await until(async () => (await rowsOf(page, 'Tasks').count()) === 20);
  });

  it('have the failed tasks of a function run again', async () => {
    const { open, client } = dashboard();
    await client.results(await client.submit(RAISE, [[1], [2], [3]]));
    const page = await open('#/functions');
    await page.getByRole('button', { name: 'Run failed again: tasks of f' }).click();
    await page.getByRole('button', { name: 'Run them again' }).click();
    await page.getByText('3 failed tasks of f run again.').waitFor();
    await page.getByRole('link', { name: 'See them' }).click();
    await until(async () => (await rowsOf(page, 'Tasks').count()) === 6);
  });
});
