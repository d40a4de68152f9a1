import { expect } from 'chai';
import { eventually, PoolFixture, sleep } from './support/poolFixture.js';
import { PythonClient } from './support/pythonClient.js';

/** Sleeps for its argument, in seconds; with `None` it kills its process. */
const SLEEPER =
  'def f(s):\n    if s is None:\n        import os\n        os._exit(5)\n    if s:\n        import time\n        time.sleep(s)\n    return s';
const arg = (seconds: string): string => `((${seconds},), {})`;

describe('a Python pool that sends short functions ahead', () => {
  let client: PythonClient;
  let fixture: PoolFixture;

  before(() => (client = new PythonClient()));
  after(() => client.close());
  beforeEach(async () => {
    fixture = new PoolFixture(client);
    await fixture.pool.start();
    // The function must be known to be short.
    for (let i = 0; i < 20; i++) await fixture.call(SLEEPER, arg('0'));
    fixture.results.length = 0;
  });
  afterEach(() => fixture.pool.stop(0));

  it('lets no short task wait behind a long one while a slot is free', async () => {
    const long = await fixture.order(SLEEPER, arg('2'));
    const before = await Promise.all(Array.from({ length: 20 }, () => fixture.order(SLEEPER, arg('0'))));
    const after = await Promise.all(Array.from({ length: 40 }, () => fixture.order(SLEEPER, arg('0'))));
    const beginMs = performance.now();
    const longDone = fixture.result(long);
    const shortDone = Promise.all([...before, ...after].map((order) => fixture.result(order)));
    fixture.pool.run([...before, long, ...after]);
    await shortDone;
    expect(performance.now() - beginMs).to.be.lessThan(1_500);
    expect((await longDone).outcome).to.equal('completed');
    await sleep(30);
    expect(fixture.results.length).to.equal(61);
    expect(new Set(fixture.results.map(({ taskId }) => taskId)).size).to.equal(61);
  });

  it('blames a crash on the task that had begun, and runs the others unnoticed', async () => {
    const orders = await Promise.all(
      Array.from({ length: 60 }, (_, i) => fixture.order(SLEEPER, arg(i % 20 === 7 ? 'None' : '0'))),
    );
    const results = await fixture.runAll(orders);
    expect(results.map(({ outcome }, i) => (outcome === 'interrupted' ? i : -1)).filter((i) => i >= 0)).to.deep.equal([
      7, 27, 47,
    ]);
    expect(results.filter(({ outcome }) => outcome === 'completed').length).to.equal(57);
    expect(results[7]?.failure?.exitCode).to.equal(5);
  });

  it('finds the one task that spoilt the wire', async () => {
    const spoiler =
      'def f(bad):\n    if bad:\n        import os\n        os.closerange(3, 2048) if bad == 1 else [os.write(fd, b"junk" * 9) for fd in range(900, 910) if os.path.exists(f"/proc/self/fd/{fd}")]';
    for (let i = 0; i < 20; i++) await fixture.call(spoiler, arg('0'));
    const orders = await Promise.all(
      Array.from({ length: 60 }, (_, i) => fixture.order(spoiler, arg(i === 9 ? '1' : i === 40 ? '2' : '0'))),
    );
    const results = await fixture.runAll(orders);
    expect(results.map(({ outcome }, i) => (outcome === 'completed' ? -1 : i)).filter((i) => i >= 0)).to.deep.equal([
      9, 40,
    ]);
    expect([results[9]?.outcome, results[40]?.outcome]).to.deep.equal(['interrupted', 'interrupted']);
  });

  it('keeps a time limit to its own task', async () => {
    const orders = await Promise.all(
      Array.from({ length: 60 }, (_, i) => fixture.order(SLEEPER, arg(i === 9 ? '5' : '0'), 200)),
    );
    const results = await fixture.runAll(orders);
    expect(results.map(({ outcome }, i) => (outcome === 'completed' ? -1 : i)).filter((i) => i >= 0)).to.deep.equal([
      9,
    ]);
    expect(results[9]?.failure?.type).to.equal('Timeout');
  });

  it('drops aborted tasks and gives others back from the middle of a pipeline, running each at most once', async () => {
    const counter =
      'def f(path, i):\n    import os\n    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n    os.write(fd, b"%d\\n" % i)\n    os.close(fd)';
    const path = `/tmp/mpcsfaas-pipeline-${process.pid}-${Date.now()}`;
    for (let i = 0; i < 20; i++) await fixture.call(counter, `(("/dev/null", 0), {})`);
    fixture.results.length = 0;
    const orders = await Promise.all(
      Array.from({ length: 200 }, (_, i) => fixture.order(counter, `(("${path}", ${i}), {})`)),
    );
    fixture.pool.run(orders);
    const aborted = orders.filter((_, i) => i % 10 === 5);
    for (const order of aborted) fixture.pool.abort(order);
    const back = fixture.pool.takeBack(50);
    await eventually(() => fixture.results.length + back.length + aborted.length >= 200, 2_000);
    await sleep(30);
    expect(fixture.pool.load()).to.deep.equal({ running: 0, queued: 0 });
    const { readFileSync, rmSync } = await import('node:fs');
    const ran = readFileSync(path, 'utf8').trim().split('\n');
    rmSync(path);
    expect(new Set(ran).size).to.equal(ran.length);
    const completed = new Set(fixture.results.map(({ taskId }) => taskId));
    for (const order of [...aborted, ...back]) expect(completed.has(order.taskId)).to.equal(false);
    for (const order of back) expect(ran).not.to.include(String(orders.indexOf(order)));
  });

  it('reports every task of a storm exactly once: long, short, crashing and aborted ones', async function () {
    this.timeout(60_000);
    let seed = 12345;
    const random = (): number => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
    const kinds = ['0', '0', '0', '0', '0', '0.002', '0.03'];
    const orders = await Promise.all(
      Array.from({ length: 1_500 }, () =>
        fixture.order(SLEEPER, arg(random() < 0.01 ? 'None' : kinds[Math.floor(random() * kinds.length)]!)),
      ),
    );
    const gone = new Set<string>();
    for (let i = 0; i < orders.length; i += 50) {
      fixture.pool.run(orders.slice(i, i + 50));
      await sleep(random() * 20);
      for (let k = 0; k < 3; k++) {
        const victim = orders[Math.floor(random() * (i + 50))]!;
        if (fixture.results.some(({ taskId }) => taskId === victim.taskId)) continue;
        fixture.pool.abort(victim);
        gone.add(victim.taskId);
      }
      for (const order of fixture.pool.takeBack(2)) gone.add(order.taskId);
    }
    await eventually(() => fixture.results.length + gone.size >= orders.length, 40_000);
    await sleep(50);
    const seen = fixture.results.map(({ taskId }) => taskId);
    expect(new Set(seen).size).to.equal(seen.length);
    expect(seen.filter((taskId) => gone.has(taskId))).to.deep.equal([]);
    expect(seen.length + gone.size).to.equal(orders.length);
    expect(fixture.pool.load()).to.deep.equal({ running: 0, queued: 0 });
  });
});
