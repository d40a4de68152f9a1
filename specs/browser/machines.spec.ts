import { expect } from 'chai';
import type { Page } from 'playwright-core';
import type { AnyStateMachine } from 'xstate';
import { componentMachine } from '../../actors/lifecycles/componentMachine.js';
import { taskMachine } from '../../actors/lifecycles/taskMachine.js';
import { workerMachine } from '../../actors/lifecycles/workerMachine.js';
import { HOLD } from '../support/gate.js';
import { until } from '../store/support/until.js';
import { rowsOf, useDashboard } from './support/dashboard.js';

const NAP = 'def f():\n    import time\n    time.sleep(0.02)\n';
const RAISE = 'def f(n):\n    raise ValueError(n)\n';
const MACHINES = { task: taskMachine, worker: workerMachine, component: componentMachine };
/** Counts come to the page twice a second. */
const WITHIN_MS = 10_000;

describe("The dashboard's machines", function () {
  this.timeout(60_000);
  const dashboard = useDashboard({ workers: 2, slots: 2 });

  const countIn = (page: Page, machine: string, state: string): Promise<number> =>
    page.evaluate<number>(
      `Number(document.querySelector('.machine-${machine} [data-state="${state}"]').dataset.count)`,
    );
  const countsAre = (page: Page, machine: string, counts: Readonly<Record<string, number>>) =>
    until(async () => {
      const seen = await Promise.all(Object.keys(counts).map((state) => countIn(page, machine, state)));
      expect(Object.fromEntries(Object.keys(counts).map((state, place) => [state, seen[place]]))).to.deep.equal(counts);
    }, WITHIN_MS);
  const ready = (page: Page) => page.locator('.machine-task [data-state="queued"]').waitFor();

  it('are those that run: every state, every way', async () => {
    const page = await dashboard().open('#/');
    await ready(page);
    for (const [name, machine] of Object.entries(MACHINES) as [string, AnyStateMachine][]) {
      const drawn = await page.evaluate<string[]>(
        `[...document.querySelectorAll('.machine-${name} [data-state]')].map((state) => state.dataset.state)`,
      );
      expect(drawn, name).to.have.members(Object.keys(machine.states));
      const lines = await page.evaluate<string[]>(
        `[...document.querySelectorAll('.machine-${name} [data-line]')].map((line) => line.dataset.line)`,
      );
      const ways = Object.values(machine.states).flatMap((state) =>
        [...state.transitions.values()]
          .flat()
          .flatMap(({ target }) =>
            ((target ?? []) as readonly { key: string }[]).map(({ key }) => `${state.key} ${key}`),
          )
          .filter((way) => way !== `${state.key} ${state.key}`),
      );
      expect(lines, name).to.have.members([...new Set(ways)]);
    }
  });

  it('have tasks move through their states while one watches', async () => {
    const { open, client, newGate } = dashboard();
    const page = await open('#/');
    await ready(page);
    await countsAre(page, 'worker', { ready: 2, busy: 0 });
    const delayed = await client.submitOne(HOLD, [''], { delay_s: 6 });
    const gate = newGate();
    const running = await client.submit(HOLD, Array(4).fill([gate.path]));
    const waiting = await client.submit(HOLD, [[''], ['']]);
    const blocked = await client.submitOne(HOLD, [''], { depends_on: [running[0]] });
    const raising = await client.submitOne(RAISE, [1]);
    const unwanted = await client.submitOne(HOLD, ['']);
    await client.cancel(unwanted);
    await countsAre(page, 'task', {
      delayed: 1,
      running: 4,
      queued: 3,
      blocked: 1,
      completed: 0,
      failed: 0,
      cancelled: 1,
    });
    await countsAre(page, 'worker', { ready: 0, busy: 2 });
    gate.open();
    await client.results([delayed, ...running, ...waiting, blocked, raising]);
    await countsAre(page, 'task', {
      delayed: 0,
      running: 0,
      queued: 0,
      blocked: 0,
      completed: 8,
      failed: 1,
      cancelled: 1,
    });
    await countsAre(page, 'worker', { ready: 2, busy: 0 });
  });

  it('show along which ways tasks go, and lead to the tasks in a state', async () => {
    const { open, client } = dashboard();
    const page = await open('#/');
    await ready(page);
    const ids = await client.submit(
      NAP,
      Array.from({ length: 400 }, () => []),
    );
    await page.locator('.machine-task .line.flowing[data-line="running completed"]').waitFor({ state: 'attached' });
    await page.locator('.machine-task .line.flowing[data-line="queued running"]').waitFor({ state: 'attached' });
    await client.results(ids);
    // What flowed then flows no more.
    await page.locator('.machine-task .line.flowing').first().waitFor({ state: 'detached', timeout: 20_000 });
    await page.locator('.machine-task a', { has: page.locator('[data-state="failed"]') }).click();
    await rowsOf(page, 'Tasks').first().getByText('failed').waitFor();
    expect(new URL(page.url()).hash).to.equal('#/tasks?status=FAILED');
  });

  it('show a worker leave', async () => {
    const { open, platform } = dashboard();
    const page = await open('#/');
    await ready(page);
    const { workers } = (await platform.call('GET', '/workers')).body as { workers: { name: string }[] };
    await platform.call('POST', `/workers/${workers[0]!.name}/drain`);
    await countsAre(page, 'worker', { ready: 1, busy: 0, gone: 1 });
  });
});
