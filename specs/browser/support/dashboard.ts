import type { Context } from 'mocha';
import type { Page } from 'playwright-core';
import { type PlatformOptions, type SpecPlatform, startPlatform } from '../../support/platform.js';
import { PythonClient } from '../../support/python.js';
import { Gate } from '../../support/gate.js';
import { TaskClient } from '../../support/taskClient.js';
import { type SpecBrowser, startBrowser, type Window, type WindowOptions } from './browser.js';
import { CHROMIUM } from './chromium.js';

export interface Dashboard {
  readonly platform: SpecPlatform;
  readonly client: TaskClient;
  readonly python: PythonClient;
  /** For tasks that are to run while a spec looks at them. All are opened and removed in the end. */
  readonly newGate: () => Gate;
  /** Opens a view, such as `#/tasks`. It is closed after the spec, which fails when its page was at fault. */
  readonly open: (hash: string, options?: WindowOptions) => Promise<Page>;
}

/** A real platform and a browser for the specs of a suite, which are skipped where there is no Chromium. */
export function useDashboard(options?: PlatformOptions): () => Dashboard {
  let browser: SpecBrowser | undefined;
  let dashboard: Dashboard | undefined;
  let windows: Window[] = [];
  const gates: Gate[] = [];

  before(async function (this: Context) {
    // `make setup-browser` says why it cannot be had; `make test` has tried it.
    if (CHROMIUM === undefined) return this.skip();
    this.timeout(60_000);
    const python = new PythonClient();
    const platform = await startPlatform(options);
    const taker = await startBrowser();
    browser = taker;
    dashboard = {
      platform,
      python,
      client: new TaskClient(platform, python),
      newGate: () => {
        const gate = new Gate();
        gates.push(gate);
        return gate;
      },
      open: async (hash, windowOptions) => {
        const window = await taker.open(`${platform.apiUrl}/dashboard${hash}`, windowOptions);
        windows.push(window);
        return window.page;
      },
    };
  });
  afterEach(async () => {
    const closing = windows;
    windows = [];
    const ends = await Promise.allSettled(closing.map((window) => window.close()));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  });
  after(async function (this: Context) {
    this.timeout(30_000);
    await browser?.stop();
    for (const gate of gates) gate.open();
    await dashboard?.platform.stop();
    await dashboard?.python.stop();
    for (const gate of gates) gate.remove();
  });
  return () => {
    if (!dashboard) throw new Error('The dashboard is there while specs run.');
    return dashboard;
  };
}

/** Rows of a table of the page, by its label, without its head. */
export const rowsOf = (page: Page, table: string) => page.getByRole('table', { name: table }).locator('tbody tr');
