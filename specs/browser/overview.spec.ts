import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { HOLD } from '../support/gate.js';
import { until } from '../store/support/until.js';
import { useDashboard } from './support/dashboard.js';

const NAP = 'def f():\n    import time\n    time.sleep(0.01)\n';
const RAISE = 'def f(n):\n    raise ValueError(n)\n';

describe("The dashboard's overview", function () {
  this.timeout(60_000);
  const dashboard = useDashboard({ slots: 2 });

  const countOf = async (page: Page, machine: string, state: string): Promise<number> =>
    Number(await page.locator(`.machine-${machine} [data-state="${state}"]`).getAttribute('data-count'));
  const tile = (page: Page, label: string) =>
    page.locator('.tile').filter({ has: page.getByText(label, { exact: true }) });

  it('draws the three machines, with what is in each state now', async () => {
    const { open, client, platform, newGate } = dashboard();
    const page = await open('#/');
    await page.getByRole('group', { name: /^The task machine/ }).waitFor();
    await until(async () => (await countOf(page, 'worker', 'ready')) === 1, 10_000);
    // API, dispatcher, monitor, worker.
    await until(async () => (await countOf(page, 'component', 'running')) === 4, 10_000);

    const gate = newGate();
    const ids = await client.submit(HOLD, Array(5).fill([gate.path]));
    await until(async () => (await countOf(page, 'task', 'running')) >= 2, 10_000);
    await until(async () => (await countOf(page, 'worker', 'busy')) === 1, 10_000);
    await tile(page, 'Slots busy').getByText('2 of 2').waitFor();
    await platform.call('POST', `/tasks/${ids[4]!}/cancel`);
    await until(async () => (await countOf(page, 'task', 'cancelled')) === 1, 10_000);
    gate.open();
    await client.results(ids);
    await client.results(await client.submit(RAISE, [[1], [2], [3]]));
    await until(async () => (await countOf(page, 'task', 'failed')) === 3, 10_000);
    expect(await countOf(page, 'task', 'completed')).to.equal(4);
    await tile(page, 'Failed').getByRole('link', { name: 'UserException 3' }).click();
    await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
  });

  it('shows along which lines tasks go, and how many', async () => {
    const { open, client } = dashboard();
    const page = await open('#/');
    const line = (from: string, to: string) => page.locator(`.machine-task [data-line="${from} ${to}"]`);
    await line('queued', 'running').waitFor({ state: 'attached' });
    // They flow for as long as it takes to see them.
    const seen = new AbortController();
    const busy = (async () => {
      while (!seen.signal.aborted) await client.results(await client.submit(NAP, Array(20).fill([])));
    })();
    try {
      await until(
        async () => /\bflowing\b/.test((await line('running', 'completed').getAttribute('class')) ?? ''),
        15_000,
      );
      await page.locator('.machine-task .words', { hasText: /succeeded [\d.]+\/s/ }).waitFor();
      expect(await line('running', 'retrying').getAttribute('class')).to.match(/\bidle\b/);
    } finally {
      seen.abort();
      await busy;
    }
    // What has stopped flowing stands still again.
    await until(async () => /\bidle\b/.test((await line('running', 'completed').getAttribute('class')) ?? ''), 15_000);
  });

  it('has the charts of the last minutes at once when it is opened again', async () => {
    const page = await dashboard().open('#/');
    for (const title of ['Throughput', 'Latency', 'Queue depth', 'Busy slots']) {
      await page.getByRole('img', { name: new RegExp(`^${title} over the last minutes`) }).waitFor();
    }
    expect(await page.locator('.chart canvas').count()).to.equal(4);
  });

  it('is drawn for a phone as well, no wider than it', async () => {
    const page = await dashboard().open('#/', { size: 'phone' });
    await page.locator('.machine-task [data-state="queued"]').waitFor();
    const { width } = (await page.locator('.machine-task svg').boundingBox())!;
    expect(width).to.be.within(250, 390);
    const names = await page
      .locator('.machine-task .state-name')
      .evaluateAll((texts) =>
        texts.map(
          (text) =>
            (text as unknown as { getBoundingClientRect: () => { height: number } }).getBoundingClientRect().height,
        ),
      );
    expect(Math.min(...names), 'height of names').to.be.at.least(10);
  });

  it('says when it is not live, and is again by itself', async () => {
    const { open, platform } = dashboard();
    const page = await open('#/', { expected: [/net::|Failed to load resource/] });
    await page.getByRole('status').getByText('Live', { exact: true }).waitFor();
    await platform.api.stop();
    await page.getByText('Not live').waitFor();
    await platform.api.restart();
    await page.getByRole('status').getByText('Live', { exact: true }).waitFor();
  });
});
