/**
 * `make screenshots`: starts a platform, gives it work, and takes a picture of every page of the dashboard at two sizes, light and dark.
 * Arguments: the directory for them, default `.platform/screenshots`.
 */
import '../support/specEnvironment.js';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPlatform } from '../support/platform.js';
import { PythonClient } from '../support/python.js';
import { type Size, SIZES, type SpecBrowser, startBrowser } from './support/browser.js';
import { DemoLoad, type DemoTasks } from './support/demoLoad.js';

/** Charts should have something to show. */
const WARM_UP_MS = 40_000;
/** For what a page asks of the server once it is there. */
const SETTLE_MS = 2_500;
const SCHEMES = ['light', 'dark'] as const;

const directory = resolve(process.argv[2] ?? join('.platform', 'screenshots'));
mkdirSync(directory, { recursive: true });

const [platform, python] = [
  await startPlatform({ workers: 2, slots: 4, env: { LOG_LEVEL: 'warn' } }),
  new PythonClient(),
];
const load = new DemoLoad(platform, python);
const browser = await startBrowser();
try {
  const tasks = await load.start();
  // The pictures are taken of pages that were open meanwhile: what they draw over time they have seen.
  await takeAll(browser, platform.apiUrl, tasks);
} finally {
  await load.stop();
  await browser.stop();
  await python.stop();
  await platform.stop();
}

async function takeAll(taker: SpecBrowser, url: string, tasks: DemoTasks): Promise<void> {
  const pages = {
    overview: '#/',
    tasks: '#/tasks',
    failures: '#/tasks?status=FAILED',
    'task-running': `#/tasks/${tasks.running}`,
    'task-failed': `#/tasks/${tasks.failed}`,
    'task-waiting': `#/tasks/${tasks.blocked}`,
    workers: '#/workers',
    functions: '#/functions',
  };
  for (const size of Object.keys(SIZES) as Size[]) {
    const windows = await Promise.all(
      SCHEMES.map(async (scheme) => ({ scheme, window: await taker.open(`${url}/dashboard`, { size, scheme }) })),
    );
    await sleep(WARM_UP_MS);
    for (const { scheme, window } of windows) {
      for (const [name, hash] of Object.entries(pages)) {
        await window.page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
        await sleep(SETTLE_MS);
        await window.page.screenshot({
          path: join(directory, `${name}-${size}-${scheme}.png`),
          fullPage: size === 'phone',
        });
        process.stderr.write(`${name}-${size}-${scheme}.png\n`);
      }
      await window.close();
    }
  }
  process.stderr.write(`screenshots: in ${directory}\n`);
}
