import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { seriousFindings } from './support/axe.js';
import { type Size, SIZES } from './support/browser.js';
import { rowsOf, useDashboard } from './support/dashboard.js';

const FAIL = 'def f(n):\n    print("trying")\n    raise ValueError("no " * 40)\n';
const TALK =
  'def f():\n    import time\n    for n in range(6000):\n        print(n, flush=True)\n        time.sleep(0.1)\n';

/** Whoever cannot use a mouse, sees little, or has a small screen. */
describe('The dashboard, for everybody', function () {
  this.timeout(120_000);
  const dashboard = useDashboard();
  let failed: string;
  let running: string;

  before(async () => {
    const { client } = dashboard();
    failed = await client.submitOne(FAIL, [1]);
    running = await client.submitOne(TALK);
    await client.result(failed);
  });

  /** What is on each page when it is ready. */
  const pages = (): Record<string, (page: Page) => Promise<unknown>> => ({
    '#/': (page) => page.locator('.machine-task [data-state="queued"]').waitFor(),
    '#/tasks': (page) => rowsOf(page, 'Tasks').nth(1).waitFor(),
    '#/tasks?status=CANCELLED': (page) => page.getByText('No task matches').waitFor(),
    [`#/tasks/${failed}`]: (page) => page.getByRole('region', { name: 'Traceback' }).waitFor(),
    [`#/tasks/${running}`]: (page) => page.getByRole('log', { name: 'Output' }).waitFor(),
    '#/workers': (page) => rowsOf(page, 'Workers').first().waitFor(),
    '#/functions': (page) => rowsOf(page, 'Functions').first().waitFor(),
    '#/nowhere': (page) => page.getByText('There is nothing here').waitFor(),
  });

  for (const size of Object.keys(SIZES) as Size[]) {
    it(`has no page with serious findings (${size}, light and dark), and none that is wider than the screen`, async () => {
      for (const [hash, isReady] of Object.entries(pages())) {
        const page = await dashboard().open(hash, { size });
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme });
          await isReady(page);
          expect(await seriousFindings(page), `${hash}, ${colorScheme}`).to.deep.equal([]);
        }
        const width = await page.evaluate<number>('document.documentElement.scrollWidth');
        expect(width, `width of ${hash}`).to.be.at.most(SIZES[size].width);
      }
    });
  }

  it('has no serious findings in its questions', async () => {
    const page = await dashboard().open('#/workers');
    await page.getByRole('button', { name: /^Drain worker/ }).click();
    await page.getByRole('dialog').waitFor();
    expect(await seriousFindings(page)).to.deep.equal([]);
  });

  it('can be walked by keyboard alone: from the list to a task, its cancellation, and back', async () => {
    const { open, client } = dashboard();
    const page = await open('#/');
    await page.getByRole('heading', { level: 1 }).waitFor();
    await tabTo(page, 'Skip to the content');
    await page.keyboard.press('Enter');
    expect(await focused(page)).to.match(/^main/);
    await page.reload();
    await page.getByRole('heading', { level: 1 }).waitFor();
    await tabTo(page, 'Tasks');
    await page.keyboard.press('Enter');
    await rowsOf(page, 'Tasks').nth(1).waitFor();
    // Who has gone somewhere is in its content, not at the top again.
    expect(await focused(page)).to.match(/^main/);
    await tabTo(page, 'Status');
    // As in any list of choices: typing its beginning chooses.
    await page.keyboard.type('run');
    await rowsOf(page, 'Tasks').nth(1).waitFor({ state: 'detached' });
    await tabTo(page, `f ${running.slice(0, 8)}`);
    await page.keyboard.press('Enter');
    await tabTo(page, 'Cancel task');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    expect(await focused(page)).to.contain('Cancel task');
    await page.keyboard.press('Enter');
    await tabTo(page, 'Cancel the task');
    await page.keyboard.press('Enter');
    await page.getByText('The task was cancelled.').waitFor();
    expect(await client.status(running)).to.equal('CANCELLED');
    await tabTo(page, 'Run again');
    await page.keyboard.press('Enter');
    await page.getByText('It runs again as').waitFor();
  });
});

/** Enough for any page of this size. */
const MAX_TABS = 40;

/** Presses Tab until the focus is on what is called so, and visible there. */
async function tabTo(page: Page, name: string): Promise<void> {
  const seen: string[] = [];
  for (let tabs = 0; tabs < MAX_TABS; tabs++) {
    await page.keyboard.press('Tab');
    const now = await focused(page);
    if (now.slice(now.indexOf(' ') + 1) === name) {
      expect(await page.evaluate<boolean>('document.activeElement.matches(":focus-visible")'), name).to.be.true;
      return;
    }
    seen.push(now);
  }
  throw new Error(`Tab does not lead to ${name}, but to: ${seen.join('; ')}`);
}

/** Its tag and what it is called. */
function focused(page: Page): Promise<string> {
  return page.evaluate<string>(`(() => {
    const element = document.activeElement;
    const label = element.labels?.[0]?.firstChild?.textContent;
    const name = element.getAttribute('aria-label') ?? label ?? element.innerText ?? '';
    return element.localName + ' ' + name.replace(/\\s+/g, ' ').trim();
  })()`);
}
