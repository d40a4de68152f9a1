import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, openDescriptors, PoolFixture, runtimesOf, sleep } from './support/poolFixture.js';
import { PYTHON, PythonClient } from './support/pythonClient.js';

const pages = (): string[] => readdirSync('/dev/shm').filter((name) => name.startsWith('mpcsfaas-'));

describe('a Python pool that ends', () => {
  let client: PythonClient;
  before(() => (client = new PythonClient()));
  after(() => client.close());

  it('leaves no process, descriptor or file, whatever ran', async () => {
    // What earlier specs used is still being closed.
    await sleep(100);
    const descriptors = openDescriptors();
    const fixture = new PoolFixture(client, { slots: 3 });
    await fixture.pool.start();
    const pids = runtimesOf(process.pid);
    expect(pids.length).to.equal(3);
    fixture.pool.run([
      await fixture.order(
        'def f():\n    import subprocess, signal\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    subprocess.run(["sleep", "62.5"])',
      ),
      await fixture.order('def f():\n    while True:\n        pass'),
    ]);
    await sleep(100);
    await Promise.all([fixture.pool.stop(200), fixture.pool.stop(0)]);
    expect(runtimesOf(process.pid)).to.deep.equal([]);
    expect(fixture.results).to.deep.equal([]);
    await eventually(() => openDescriptors() <= descriptors, 10_000);
    expect(pages()).to.deep.equal([]);
    expect(fixture.ended('stopped')).to.equal(3);
  });

  it('can be stopped while it starts', async () => {
    const fixture = new PoolFixture(client);
    const started = fixture.pool.start().then(
      () => 'started',
      (error: unknown) => (error as Error).message,
    );
    await fixture.pool.stop(0);
    expect(await started).to.contain('stopped');
    expect(runtimesOf(process.pid)).to.deep.equal([]);
  });

  it('uses no processor time while idle', async () => {
    const fixture = new PoolFixture(client);
    await fixture.pool.start();
    await fixture.call('def f():\n    return 1');
    // What was before it may take some: then looked at again. A pool that asks round never has a quiet moment.
    const windows: number[] = [];
    do {
      const before = process.cpuUsage();
      await sleep(200);
      const { user, system } = process.cpuUsage(before);
      windows.push(user + system);
    } while (Math.min(...windows) >= 2_500 && windows.length < 20);
    await fixture.pool.stop(0);
    expect(Math.min(...windows), windows.join()).to.be.lessThan(2_500);
  });

  it('takes its processes with it when it is killed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mpcsfaas-killed-'));
    const script = join(folder, 'supervisor.mjs');
    const pool = new URL('../../workers/pythonPool.js', import.meta.url).href;
    writeFileSync(
      script,
      `import { PythonPool } from ${JSON.stringify(pool)};
const pool = new PythonPool({ python: ${JSON.stringify(PYTHON)}, slots: 2 });
await pool.start();
pool.addFunction('loop', Buffer.from(process.argv[2], 'base64'));
pool.run([{ taskId: 'a', fence: '1', functionId: 'loop', arguments: Buffer.from(process.argv[3], 'base64'), timeoutMs: 0 }]);
setTimeout(() => console.log('ready'), 50);
setInterval(() => undefined, 1000);`,
    );
    const loop = (await client.function('def f():\n    while True:\n        pass')).toString('base64');
    const args = (await client.value('((), {})')).toString('base64');
    const supervisor = spawn(process.execPath, [script, loop, args], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => supervisor.stdout.once('data', resolve));
    expect(runtimesOf(supervisor.pid!).length).to.equal(2);
    const ended = once(supervisor, 'exit');
    supervisor.kill('SIGKILL');
    await ended;
    await eventually(() => runtimesOf(supervisor.pid!).length === 0, 10_000);
    rmSync(folder, { recursive: true });
    // The next one removes what it has left.
    const next = new PoolFixture(client);
    await next.pool.start();
    await next.pool.stop(0);
  });
});
