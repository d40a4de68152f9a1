import { expect } from 'chai';
import { useDashboard } from './support/dashboard.js';

const TRY = `def f(n):
    print('trying', n)
    raise ValueError('cannot do %d' % n)
`;
const TALK = `def f():
    import sys, time
    print('begun')
    for n in range(600):
        print('line', n, flush=True)
        if n == 2:
            print('a warning', file=sys.stderr, flush=True)
        time.sleep(0.1)
`;
const PRINTS_AND_HOLDS = `def f(gate):
    import os, time
    print('before')
    while not os.path.exists(gate):
        time.sleep(0.02)
    print('after')
`;
const UNKNOWN = '00000000-0000-4000-8000-000000000000';

describe("The dashboard's story of a task", function () {
  this.timeout(60_000);
  const dashboard = useDashboard();

  it('tells how a task failed: its states to scale, its traceback, what it printed', async () => {
    const { open, client } = dashboard();
    const id = await client.submitOne(TRY, [7], { retry: { max_retries: 1, backoff_s: 1, jitter: 0 } });
    await client.result(id);
    const page = await open(`#/tasks/${id}`);
    await page.getByRole('heading', { name: 'UserException' }).waitFor();
    await page.getByText('cannot do 7', { exact: true }).waitFor();
    expect(await page.getByRole('region', { name: 'Traceback' }).textContent()).to.contain('ValueError: cannot do 7');
    await page.getByRole('log', { name: 'Output' }).getByText('trying 7').waitFor();

    const { history } = await client.story(id);
    const timeline = page.getByRole('region', { name: 'Timeline' }).getByRole('listitem');
    expect(await timeline.count()).to.equal(history.length);
    expect(history.map(({ to }) => to)).to.deep.equal(['queued', 'running', 'retrying', 'queued', 'running', 'failed']);
    const track = (await timeline.first().locator('.lane').boundingBox())!;
    const totalMs = history.at(-1)!.at_ms - history[0]!.at_ms;
    const retrying = (await timeline.nth(2).locator('.stay-bar').boundingBox())!;
    const lastedMs = history[3]!.at_ms - history[2]!.at_ms;
    expect(retrying.width / track.width).to.be.closeTo(lastedMs / totalMs, 0.02);
    const beganMs = history[2]!.at_ms - history[0]!.at_ms;
    expect((retrying.x - track.x) / track.width).to.be.closeTo(beganMs / totalMs, 0.02);
  });

  it('runs a failed task again, and leads to the new one', async () => {
    const { open, client } = dashboard();
    const id = await client.submitOne(TRY, [8]);
    await client.result(id);
    const page = await open(`#/tasks/${id}`);
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.getByRole('status').getByRole('link').click();
    await page.getByRole('heading', { name: 'UserException' }).waitFor();
    const again = new URL(page.url()).hash.slice('#/tasks/'.length);
    expect(again).not.to.equal(id);
    expect((await client.story(again)).failure!.message).to.equal('cannot do 8');
    await page.goBack();
    await page.getByText('Run again as').waitFor();
  });

  it('follows what a running task prints, and cancels it', async () => {
    const { open, client } = dashboard();
    const id = await client.submitOne(TALK);
    const page = await open(`#/tasks/${id}`);
    const log = page.getByRole('log', { name: 'Output' });
    await log.getByText('line 12').waitFor();
    expect(await log.locator('.stderr').textContent()).to.equal('a warning\n');
    await page.getByRole('button', { name: 'Cancel task' }).click();
    const question = page.getByRole('dialog', { name: 'Cancel this task?' });
    await question.getByRole('button', { name: 'Leave it' }).click();
    expect(await client.status(id)).to.equal('RUNNING');
    await page.getByRole('button', { name: 'Cancel task' }).click();
    await question.getByRole('button', { name: 'Cancel the task' }).click();
    await page.getByText('The task was cancelled.').waitFor();
    await page.getByRole('heading', { level: 1 }).locator('..').getByText('cancelled').waitFor();
    expect(await client.status(id)).to.equal('CANCELLED');
    await page.getByRole('button', { name: 'Run again' }).waitFor();
    expect(await page.getByRole('button', { name: 'Cancel task' }).count()).to.equal(0);
    // What it printed until then is still there.
    await log.getByText('line 12').waitFor();
  });

  it('goes on with what a task prints when the API is started again', async () => {
    const { open, client, platform, newGate } = dashboard();
    const gate = newGate();
    const id = await client.submitOne(PRINTS_AND_HOLDS, [gate.path]);
    const page = await open(`#/tasks/${id}`, { expected: [/net::|Failed to load resource/] });
    const log = page.getByRole('log', { name: 'Output' });
    await log.getByText('before').waitFor();
    await platform.api.restart();
    gate.open();
    await log.getByText('after').waitFor();
    expect(await log.textContent()).to.equal('before\nafter\n');
    await client.result(id);
  });

  it('says why a task waits, and leads to what it waits for', async () => {
    const { open, client } = dashboard();
    const first = await client.submitOne(TALK, [], { delay_s: 600 });
    const second = await client.submitOne(TRY, [1], { depends_on: [first] });
    const page = await open(`#/tasks/${second}`);
    const why = page.getByRole('region', { name: 'Why it waits' });
    expect(await why.textContent()).to.contain(`it waits for task ${first} to complete.`);
    await why.getByRole('link').click();
    await page.getByText('it is delayed until').waitFor();
    await client.cancel(first);
    await page.getByRole('heading', { level: 1 }).locator('..').getByText('cancelled').waitFor();
    await page.goBack();
    await page.getByRole('heading', { name: 'DependencyFailed' }).waitFor();
  });

  it('shows what comes while it is looked at', async () => {
    const { open, client } = dashboard();
    const id = await client.submitOne('def f():\n    import time\n    time.sleep(2)\n    print("done")\n');
    const page = await open(`#/tasks/${id}`);
    const head = page.getByRole('heading', { level: 1 }).locator('..');
    await head.getByText('running').waitFor();
    await head.getByText('completed').waitFor();
    await page.getByRole('log', { name: 'Output' }).getByText('done').waitFor();
    await page.getByText('Peak memory').waitFor();
  });

  it('says that a task is not there', async () => {
    const page = await dashboard().open(`#/tasks/${UNKNOWN}`, { expected: [/404/] });
    await page.getByText('There is no such task').waitFor();
  });
});
