import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { HOLD } from '../support/gate.js';
import { until } from '../store/support/until.js';
import { rowsOf, useDashboard } from './support/dashboard.js';

const DOUBLE = 'def f(n):\n    return 2 * n\n';
const RAISE = 'def f(n):\n    raise KeyError(n)\n';
const SLEEP = 'def f(seconds):\n    import time\n    time.sleep(seconds)\n';

describe("The dashboard's list of tasks", function () {
  this.timeout(60_000);
  const dashboard = useDashboard();

  const shownIds = (page: Page) =>
    page.evaluate<string[]>(
      `[...document.querySelectorAll('table[aria-label="Tasks"] tbody a')].map((link) => link.getAttribute('href').slice(8))`,
    );
  const row = (page: Page, id: string) =>
    rowsOf(page, 'Tasks').filter({ has: page.locator(`a[href="#/tasks/${id}"]`) });

  it('is empty at first, and counts what comes without showing it', async () => {
    const { open, client } = dashboard();
    const page = await open('#/tasks');
    await page.getByText('No tasks yet').waitFor();
    const ids = await client.submit(DOUBLE, [[1], [2], [3]]);
    await page.getByRole('button', { name: '3 newer tasks' }).click();
    await row(page, ids[2]!).getByText('completed').waitFor();
    expect(await shownIds(page)).to.deep.equal(ids.toReversed());
  });

  it('stands still under its reader: what comes new is behind a button, what changes changes in its row', async () => {
    const { open, client, newGate } = dashboard();
    const gate = newGate();
    const slow = await client.submitOne(HOLD, [gate.path]);
    const page = await open('#/tasks');
    await row(page, slow).getByText('running').waitFor();
    const [before, place] = [await shownIds(page), await row(page, slow).boundingBox()];
    const more = await client.submit(DOUBLE, [[1], [2]]);
    await page.getByRole('button', { name: '2 newer tasks' }).waitFor();
    expect(await shownIds(page)).to.deep.equal(before);
    expect(await row(page, slow).boundingBox()).to.deep.equal(place);
    gate.open();
    await row(page, slow).getByText('completed').waitFor();
    expect(await row(page, slow).boundingBox()).to.deep.equal(place);
    await page.getByRole('button', { name: '2 newer tasks' }).click();
    await until(async () => (await shownIds(page))[0] === more[1]);
    expect(await shownIds(page)).to.deep.equal([...more.toReversed(), ...before]);
  });

  it('has the tasks of a status, a function, a failure, also by its address', async () => {
    const { open, client } = dashboard();
    const raised = await client.submit(RAISE, [['a'], ['b']]);
    const late = await client.submitOne(SLEEP, [60], { timeout_s: 0.3 });
    await client.results([...raised, late]);
    const page = await open('#/tasks');
    await page.getByLabel('Status').selectOption('FAILED');
    await until(async () => (await shownIds(page)).length === 3);
    expect(await rowsOf(page, 'Tasks').getByText('failed', { exact: true }).count()).to.equal(3);
    expect(await row(page, raised[0]!).textContent()).to.contain("KeyError 'a'");
    await page.getByLabel('Failure').selectOption('Timeout');
    await until(async () => (await shownIds(page)).join() === late);
    expect(new URL(page.url()).hash).to.equal('#/tasks?status=FAILED&failure=Timeout');
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.getByLabel('Function').selectOption(await client.register(RAISE));
    await until(async () => (await shownIds(page)).join() === raised.toReversed().join());
    await page.reload();
    await until(async () => (await shownIds(page)).join() === raised.toReversed().join());
    await page.getByLabel('Status').selectOption('COMPLETED');
    await page.getByText('No task matches').waitFor();
    await page.goBack();
    await until(async () => (await shownIds(page)).length === 2);
  });

  it('goes on page by page, and back', async () => {
    const { open, client } = dashboard();
    const ids = await client.submit(
      DOUBLE,
      Array.from({ length: 120 }, (_, n) => [n]),
    );
    await client.results(ids);
    const newest = ids.toReversed();
    const page = await open('#/tasks');
    const shows = (expected: readonly string[]) => until(async () => (await shownIds(page)).join() === expected.join());
    const press = (name: string) => page.getByRole('button', { name, exact: true }).click();
    await shows(newest.slice(0, 50));
    await press('Older');
    await shows(newest.slice(50, 100));
    await press('Older');
    await until(async () => (await shownIds(page)).slice(0, 20).join() === newest.slice(100).join());
    await press('Newer');
    await shows(newest.slice(50, 100));
    await press('Newest');
    await shows(newest.slice(0, 50));
    expect(await page.getByRole('button', { name: 'Newer', exact: true }).isDisabled()).to.be.true;
  });

  it('leads to a task by its id, and says what an id is', async () => {
    const { open, client } = dashboard();
    const id = await client.submitOne(DOUBLE, [1]);
    const page = await open('#/tasks');
    await page.getByLabel('Task id').fill('seven');
    await page.getByRole('button', { name: 'Open' }).click();
    expect(new URL(page.url()).hash).to.equal('#/tasks');
    await page.getByLabel('Task id').fill(` ${id.toUpperCase()} `);
    await page.getByLabel('Task id').press('Enter');
    await page.getByText(id).first().waitFor();
    expect(new URL(page.url()).hash).to.equal(`#/tasks/${id}`);
  });
});
