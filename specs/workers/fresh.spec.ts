import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { TaskOrder } from '../../bus/messages.js';
import { eventually, PoolFixture, runtimesOf, sleep } from './support/poolFixture.js';
import { PythonClient } from './support/pythonClient.js';

/** Leaves a mark in its process, and tells which marks it found. */
const MARKING = `def f(mark):
    import os, sys
    marks = sys.__dict__.setdefault("marks", [])
    marks.append(mark)
    return os.getpid(), tuple(marks)`;
const NAP = 'def f(s):\n    import time\n    time.sleep(s)';

describe('A task that wants a process of its own', function () {
  this.timeout(20_000);
  let client: PythonClient;
  let fixture: PoolFixture;

  before(() => (client = new PythonClient()));
  beforeEach(async () => {
    fixture = new PoolFixture(client, { slots: 2 });
    await fixture.pool.start();
  });
  afterEach(() => fixture.pool.stop(0));
  after(() => client.close());

  async function order(source: string, args: string, isolation?: 'fresh'): Promise<TaskOrder> {
    const made = await fixture.order(source, args);
    return { ...made, taskId: randomUUID(), ...(isolation && { isolation }) };
  }

  async function run(orders: TaskOrder[]): Promise<{ pid: string; marks: string }[]> {
    const results = await fixture.runAll(orders);
    const values = await Promise.all(results.map(async ({ payload }) => (await client.load(payload)).repr));
    return values.map((value) => {
      const [, pid = '', marks = ''] = /^\((\d+), (\(.*\))\)$/.exec(value) ?? [];
      return { pid, marks };
    });
  }

  it('finds nothing of the tasks before it, and leaves nothing to those after it', async () => {
    const warm = await Promise.all(Array.from({ length: 6 }, () => order(MARKING, '(("warm",), {})')));
    await run(warm);
    const fresh = await Promise.all(Array.from({ length: 5 }, () => order(MARKING, '(("fresh",), {})', 'fresh')));
    const told = await run(fresh);
    expect(told.map(({ marks }) => marks)).to.deep.equal(told.map(() => "('fresh',)"));
    expect(new Set(told.map(({ pid }) => pid)).size).to.equal(5);
    const after = await run(await Promise.all(Array.from({ length: 6 }, () => order(MARKING, '(("warm",), {})'))));
    expect(after.map(({ marks }) => marks).join()).not.to.contain('fresh');
    expect(after.map(({ pid }) => pid)).not.to.include.members([told[0]!.pid]);
  });

  it('gets it though others keep all processes busy, and holds nobody up', async () => {
    let isOver = false;
    const flood = async (): Promise<void> => {
      while (!isOver)
        await fixture.runAll(await Promise.all(Array.from({ length: 20 }, () => order(NAP, '((0.001,), {})'))));
    };
    const floods = [flood(), flood(), flood()];
    await sleep(200);
    const beganAt = performance.now();
    const [result] = await run([await order(MARKING, '(("fresh",), {})', 'fresh')]);
    expect(result!.marks).to.equal("('fresh',)");
    expect(performance.now() - beganAt).to.be.below(5_000);
    isOver = true;
    await Promise.all(floods);
  });

  it('gives its slot back when it is stopped before it has begun', async () => {
    const orders = [
      await order(MARKING, '(("fresh",), {})', 'fresh'),
      await order(MARKING, '(("fresh",), {})', 'fresh'),
    ];
    const next = await order(MARKING, '(("warm",), {})');
    const runtimes = runtimesOf(process.pid);
    for (const pid of runtimes) process.kill(pid, 'SIGSTOP');
    fixture.pool.run(orders);
    for (const one of orders) fixture.pool.abort(one);
    for (const pid of runtimes) process.kill(pid, 'SIGCONT');
    expect((await run([next]))[0]!.marks).to.equal("('warm',)");
  });

  it('starts in another slot while one of its kind runs long', async () => {
    const long = await order(NAP, '((30,), {})', 'fresh');
    fixture.pool.run([long]);
    await run([await order(MARKING, '(("warm",), {})')]);
    const [result] = await run([await order(MARKING, '(("fresh",), {})', 'fresh')]);
    expect(result!.marks).to.equal("('fresh',)");
    const [warm] = await run([await order(MARKING, '(("warm",), {})')]);
    expect(warm!.marks).not.to.contain('fresh');
    fixture.pool.abort(long);
    await eventually(() => fixture.pool.load().running === 0, 2_000);
  });

  it('is dropped or given back while it waits, and its time limit and crash are its own', async () => {
    const naps = await Promise.all([1, 2].map(() => order(NAP, '((1,), {})')));
    const ended = fixture.runAll(naps);
    const waiting = await Promise.all([1, 2, 3].map(() => order(MARKING, '(("fresh",), {})', 'fresh')));
    fixture.pool.run(waiting);
    fixture.pool.abort(waiting[0]!);
    expect(fixture.pool.takeBack(1).map(({ taskId }) => taskId)).to.deep.equal([waiting[2]!.taskId]);
    await Promise.all([ended, fixture.result(waiting[1]!)]);
    expect(fixture.results.map(({ taskId }) => taskId)).to.have.members(
      [...naps, waiting[1]!].map(({ taskId }) => taskId),
    );
    const late = { ...(await order(NAP, '((30,), {})', 'fresh')), timeoutMs: 200 };
    const crash = await order('def f():\n    import os\n    os._exit(3)', '((), {})', 'fresh');
    const [timeout, crashed] = await fixture.runAll([late, crash]);
    expect(timeout?.failure?.type).to.equal('Timeout');
    expect(crashed?.failure?.type).to.equal('ProcessCrashed');
    const [warm] = await run([await order(MARKING, '(("warm",), {})')]);
    expect(warm!.marks).to.equal("('warm',)");
  });
});
