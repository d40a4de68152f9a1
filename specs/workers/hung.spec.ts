import { expect } from 'chai';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, PoolFixture, runtimesOf } from './support/poolFixture.js';
import { PYTHON, PythonClient } from './support/pythonClient.js';

const QUICK = 'def f(x=1):\n    return x';
/** Long enough for a true Python to start on a busy machine. */
const HUNG_AFTER_MS = 1_500;

describe('a Python pool whose processes do nothing', function () {
  this.timeout(30_000);
  let client: PythonClient;
  let folder: string;
  let fixture: PoolFixture;

  before(() => (client = new PythonClient()));
  after(() => client.close());
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'mpcsfaas-hung-'))));
  afterEach(async () => {
    await fixture.pool.stop(0);
    rmSync(folder, { recursive: true });
  });

  /** Runs Python, but hangs at its first `hanging` starts. */
  function slowPython(hanging: number): string {
    const path = join(folder, 'python');
    const starts = Array.from({ length: hanging }, (_, i) => `mkdir ${folder}/${i} 2>/dev/null && exec sleep 63.5`);
    writeFileSync(path, ['#!/bin/sh', ...starts, `exec ${PYTHON} "$@"`, ''].join('\n'));
    chmodSync(path, 0o700);
    return path;
  }

  it('starts another where one is not ready in time', async () => {
    fixture = new PoolFixture(client, { slots: 1, python: slowPython(1), hungAfterMs: HUNG_AFTER_MS });
    await fixture.pool.start();
    expect(fixture.ended('hung')).to.be.at.least(1);
    expect(await fixture.value(QUICK)).to.equal('1');
  });

  it('refuses to start, with a sentence, where none is ever ready', async () => {
    const python = slowPython(9);
    fixture = new PoolFixture(client, { slots: 1, python, hungAfterMs: 50 });
    const words = await fixture.pool.start().then(
      () => 'started',
      (error: unknown) => (error as Error).message,
    );
    expect(words).to.contain(`Python '${python}' hung at start, repeatedly. Run it by hand`);
  });

  it('runs elsewhere what a process does not begin', async () => {
    fixture = new PoolFixture(client, { slots: 1, hungAfterMs: HUNG_AFTER_MS });
    await fixture.pool.start();
    expect(await fixture.value(QUICK)).to.equal('1');
    const [pid] = runtimesOf(process.pid);
    process.kill(pid!, 'SIGSTOP');
    const results = await fixture.runAll(await Promise.all([1, 2, 3].map(() => fixture.order(QUICK))));
    expect(results.map(({ outcome }) => outcome)).to.deep.equal(['completed', 'completed', 'completed']);
    expect(fixture.ended('hung')).to.be.at.least(1);
  });

  it('leaves a task alone that has begun, however long it says nothing', async () => {
    fixture = new PoolFixture(client, { slots: 1, hungAfterMs: HUNG_AFTER_MS });
    await fixture.pool.start();
    const before = fixture.ended('hung');
    expect(await fixture.value('def f():\n    import time\n    time.sleep(2.5)\n    return 2')).to.equal('2');
    expect(fixture.ended('hung')).to.equal(before);
  });

  it('lives on without a descriptor to start one with, and starts it when there are some again', async () => {
    fixture = new PoolFixture(client, { slots: 1 });
    await fixture.pool.start();
    const order = await fixture.order(QUICK);
    const [pid] = runtimesOf(process.pid);
    await withoutDescriptors(async () => {
      process.kill(pid!, 'SIGKILL');
      await eventually(() => fixture.events.some(({ type }) => type === 'startFailed'), 5_000);
    });
    const failed = fixture.events.find((event) => event.type === 'startFailed');
    expect(failed?.message).to.match(/cannot be started: .*too many open files/);
    // Given back while there is no process, it is sent again, as a dispatcher would.
    let outcome: string | undefined = 'released';
    for (let attempt = 1; outcome === 'released'; attempt++) {
      const [result] = await fixture.runAll([{ ...order, fence: `${attempt}-x` }]);
      outcome = result?.outcome;
    }
    expect(outcome).to.equal('completed');
  });
});

/** Runs `use` while this process may open no more descriptors than it has. */
async function withoutDescriptors(use: () => Promise<void>): Promise<void> {
  const of = `--pid=${process.pid}`;
  const soft = execFileSync('prlimit', [of, '--nofile', '--output=SOFT', '--noheadings']).toString().trim();
  // What restores it must run already: nothing can be spawned meanwhile.
  const restorer = spawn('sh', ['-c', `read line; prlimit ${of} --nofile=${soft}:`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const restored = new Promise((resolve) => restorer.once('exit', resolve));
  const open = new Set(readdirSync('/proc/self/fd').map(Number));
  let lowestFree = 0;
  while (open.has(lowestFree)) lowestFree++;
  execFileSync('prlimit', [of, `--nofile=${lowestFree}:`]);
  try {
    await use();
  } finally {
    restorer.stdin.end('\n');
    await restored;
  }
}
