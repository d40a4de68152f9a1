import { expect } from 'chai';
import { printedBytes } from '../../bus/outputRecord.js';
import type { TaskResult } from '../../bus/messages.js';
import { PythonPool } from '../../workers/pythonPool.js';
import type { Enclosure, Sandbox } from '../../workers/sandbox/sandboxOptions.js';
import { eventually, PoolFixture, sleep } from './support/poolFixture.js';
import { PYTHON, PythonClient } from './support/pythonClient.js';

const QUICK = 'def f(x=1):\n    return x';

describe('a Python pool whose processes end under their tasks', () => {
  let client: PythonClient;
  let fixture: PoolFixture;

  before(() => (client = new PythonClient()));
  after(() => client.close());
  beforeEach(async () => {
    fixture = new PoolFixture(client, { slots: 1 });
    await fixture.pool.start();
  });
  afterEach(() => fixture.pool.stop(0));

  async function crash(source: string): Promise<TaskResult> {
    const result = await fixture.call(source);
    expect(result.outcome, JSON.stringify(result)).to.equal('interrupted');
    expect(result.failure?.type).to.equal('ProcessCrashed');
    // Replaced in the same moment: only processes that fail at start are waited for.
    expect(fixture.events.slice(-2).map(({ type }) => type)).to.deep.equal(['ended', 'spawned']);
    expect(await fixture.value(QUICK)).to.equal('1');
    return result;
  }

  it('names the exit code of os._exit', async () => {
    const { failure } = await crash('def f():\n    import os\n    print("last words", flush=True)\n    os._exit(9)');
    expect(failure).to.include({
      exitCode: 9,
      message: 'the Python process exited with code 9 while running the task',
    });
  });

  it('names the signal of a segfault and of a SIGKILL', async () => {
    const segfault = await crash('def f():\n    import ctypes\n    ctypes.string_at(0)');
    expect(segfault.failure).to.include({
      signal: 'SIGSEGV',
      message: 'the Python process was killed by SIGSEGV while running the task',
    });
    const killed = await crash(
      'def f():\n    import os, signal\n    print("told before")\n    os.kill(os.getpid(), signal.SIGKILL)',
    );
    expect(killed.failure?.signal).to.equal('SIGKILL');
    expect(printedBytes(killed.output).toString()).to.equal('told before\n');
  });

  it('survives a function that closes all descriptors', async () => {
    await crash('def f():\n    import os\n    os.closerange(0, 4096)');
    await crash('def f():\n    import os\n    os.closerange(3, 4096)\n    while True:\n        pass');
  });

  it('survives a function that writes junk to all descriptors', async () => {
    const { failure } = await crash(
      'def f():\n    import os\n    for fd in range(3, 2048):\n        try:\n            os.write(fd, b"junk" * 20)\n        except OSError:\n            pass',
    );
    expect(failure?.message).to.contain('file descriptors');
  });

  it('kills what a crashed task had started', async () => {
    await crash('def f():\n    import subprocess, os\n    subprocess.Popen(["sleep", "61.5"])\n    os._exit(1)');
    const outOfSight = 'subprocess.Popen(["sleep", "61.5"], start_new_session=True)';
    await crash(`def f():\n    import subprocess, os\n    ${outOfSight}\n    os._exit(1)`);
    const alive = await fixture.value(
      'def f():\n    import subprocess\n    return subprocess.run(["pgrep", "-f", "^sleep 61.5"], stdout=subprocess.DEVNULL).returncode',
    );
    expect(alive).to.equal('1');
  });

  it('ends an endless loop at its time limit', async () => {
    const beginMs = performance.now();
    const result = await fixture.call('def f():\n    print("in")\n    while True:\n        pass', undefined, 150);
    expect(performance.now() - beginMs).to.be.within(140, 10_000);
    expect(result).to.deep.include({ outcome: 'failed', payload: Buffer.alloc(0) });
    expect(result.failure?.type).to.equal('Timeout');
    expect(result.failure?.message).to.contain('150 ms');
    expect(printedBytes(result.output).toString()).to.equal('in\n');
    expect(await fixture.value(QUICK)).to.equal('1');
  });

  it('kills at its time limit one that ignores SIGTERM, while the slot serves others', async () => {
    const stubborn = await fixture.order(
      'def f():\n    import signal, time\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    while True:\n        time.sleep(1)',
      undefined,
      500,
    );
    const quick = await fixture.order(QUICK);
    const [first, second] = await fixture.runAll([stubborn, quick]);
    expect(first?.failure?.type).to.equal('Timeout');
    expect(first!.runTimeUs).to.be.within(950_000, 10_000_000);
    expect(second?.outcome).to.equal('completed');
    // The slot has another process before the stubborn one is gone.
    const story = fixture.events.map((event) => (event.type === 'ended' ? event.reason : event.type));
    expect(story.slice(story.lastIndexOf('spawned'))).to.include('timeout');
  });

  it('aborts a running task without a result, and serves the next', async () => {
    const order = await fixture.order('def f():\n    import time\n    print("in")\n    time.sleep(60)');
    const quick = await fixture.order(QUICK);
    fixture.pool.run([order]);
    fixture.pool.follow(order, true);
    await eventually(() => fixture.pool.printed(order, 0, 1)!.length > 0, 10_000);
    fixture.pool.abort(order);
    expect(fixture.pool.load()).to.deep.equal({ running: 0, queued: 0 });
    await fixture.runAll([quick]);
    await eventually(() => fixture.ended('aborted') === 1, 10_000);
    expect(fixture.results.map(({ taskId }) => taskId)).to.deep.equal([quick.taskId]);
  });

  it('aborts a task in the very moment it was sent, again and again', async () => {
    const sleeper = 'def f(s):\n    import time\n    time.sleep(s)';
    const [long, quick] = await Promise.all([
      fixture.order(sleeper, '((60,), {})'),
      fixture.order(sleeper, '((0,), {})'),
    ]);
    for (let i = 0; i < 30; i++) {
      const order = { ...long, taskId: `long ${i}` };
      fixture.pool.run([order]);
      if (i % 3 === 1) await Promise.resolve();
      if (i % 3 === 2) await new Promise((resolve) => setImmediate(resolve));
      fixture.pool.abort(order);
      expect(fixture.pool.load()).to.deep.equal({ running: 0, queued: 0 });
    }
    const [result] = await fixture.runAll([quick]);
    expect(result?.outcome).to.equal('completed');
    expect(fixture.results.length).to.equal(1);
  });

  it('drops an aborted task that has not started', async () => {
    const running = await fixture.order('def f():\n    import time\n    time.sleep(0.1)');
    const waiting = await fixture.order('def f():\n    raise SystemError("should not run")');
    const done = fixture.runAll([running, waiting].slice(0, 1));
    fixture.pool.run([waiting]);
    fixture.pool.abort(waiting);
    expect(fixture.pool.load()).to.deep.equal({ running: 1, queued: 0 });
    await done;
    await sleep(20);
    expect(fixture.results.length).to.equal(1);
    fixture.pool.abort(waiting);
    fixture.pool.abort({ taskId: 'unknown', fence: 'x' });
  });

  it('takes the newest unstarted orders back', async () => {
    const long = await fixture.order('def f():\n    import time\n    time.sleep(0.1)');
    const orders = await Promise.all(Array.from({ length: 5 }, () => fixture.order(QUICK)));
    const done = fixture.runAll([long, ...orders.slice(0, 3)]);
    fixture.pool.run(orders.slice(3));
    expect(fixture.pool.load()).to.deep.equal({ running: 1, queued: 5 });
    expect(fixture.pool.takeBack(2).map(({ taskId }) => taskId)).to.deep.equal([orders[4]?.taskId, orders[3]?.taskId]);
    expect((await done).every(({ outcome }) => outcome === 'completed')).to.equal(true);
    expect(fixture.pool.takeBack(10)).to.deep.equal([]);
    expect(fixture.results.length).to.equal(4);
  });

  it('rejects a start with a sentence: no Python, no dill, a Python that dies', async () => {
    const message = async (python: string, options = {}): Promise<string> => {
      const pool = new PythonPool({ python, slots: 2, ...options });
      const beginMs = performance.now();
      const answer = await pool.start().then(
        () => 'started',
        (error: unknown) => (error as Error).message,
      );
      expect(performance.now() - beginMs).to.be.lessThan(3_000);
      await pool.stop(0);
      return answer;
    };
    expect(await message('/nowhere/python')).to.equal(
      "There is no Python at '/nowhere/python': install Python 3.9 or later, or name another interpreter.",
    );
    expect(await message('false')).to.contain("Python 'false' exited with code 1 at start, repeatedly");
    // Without site-packages there is no dill.
    const bare = (await client.load(await client.value('__import__("sys")._base_executable'))).repr.replaceAll("'", '');
    if (bare !== PYTHON)
      expect(await message(bare)).to.satisfy(
        (text: string) => text === 'started' || text.includes('-m pip install dill'),
      );
  }).timeout(8_000);

  it('gives orders back when Python stops starting, and runs again when it starts', async function () {
    this.timeout(8_000);
    const order = await fixture.order(QUICK);
    const { launch } = (fixture.pool as unknown as { processes: { launch: { sandbox: Sandbox } } }).processes;
    const { sandbox } = launch;
    const enclose = (token: number): Enclosure => {
      const enclosure = sandbox.enclose(token);
      return { ...enclosure, spawn: { ...enclosure.spawn, file: '/nowhere/python' } };
    };
    launch.sandbox = { ...sandbox, enclose };
    const [crashed] = await fixture.runAll([await fixture.order('def f():\n    import os\n    os._exit(1)')]);
    expect(crashed?.outcome).to.equal('interrupted');
    const [released] = await fixture.runAll([order]);
    expect(released?.outcome).to.equal('released');
    launch.sandbox = sandbox;
    const [completed] = await fixture.runAll([{ ...order, fence: '2-x' }]);
    expect(completed?.outcome).to.satisfy((outcome: string) => outcome === 'completed' || outcome === 'released');
  });
});
