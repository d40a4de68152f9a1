import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PoolFixture } from './support/poolFixture.js';
import { PythonClient } from './support/pythonClient.js';

describe('a Python pool running functions', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mpcsfaas-values-'));
  let client: PythonClient;
  let fixture: PoolFixture;

  before(async () => {
    writeFileSync(
      join(folder, 'user_module.py'),
      'import os\ndef double(x):\n    return 2 * x\nclass Point:\n    def __init__(self, x):\n        self.x = x\n',
    );
    writeFileSync(join(folder, 'pickle.py'), 'raise ImportError("not the standard one")\n');
    client = new PythonClient();
    fixture = new PoolFixture(client, { pythonPath: [folder] });
    await fixture.pool.start();
  });
  after(async () => {
    await fixture.pool.stop(0);
    client.close();
    rmSync(folder, { recursive: true });
  });

  const same = [
    'None',
    'True',
    '-7',
    '2**200',
    '1.5',
    "'text \\u2713'",
    "b'\\x00\\xff'",
    '[1, [2, (3,)]]',
    "{'a': {1, 2}}",
    '(1+2j)',
    'slice(1, 2)',
    'range(3)',
    'float("inf")',
    '...',
  ];
  for (const value of same) {
    it(`returns ${value} as it was given`, async () => {
      expect(await fixture.value('def f(x):\n    return x', `((${value},), {})`)).to.equal(
        (await client.load(await client.value(value))).repr,
      );
    });
  }

  it('passes keyword arguments, defaults and starred arguments', async () => {
    expect(
      await fixture.value('def f(a, b=2, *c, d=4, **e):\n    return a, b, c, d, e', "((1,), {'d': 5, 'z': 6})"),
    ).to.equal("(1, 2, (), 5, {'z': 6})");
  });

  it('runs lambdas, closures, nested and recursive functions', async () => {
    expect(await fixture.value('f = lambda x: x + 1', '((1,), {})')).to.equal('2');
    expect(
      await fixture.value(
        'def make(n):\n    def inner(x):\n        return x + n\n    return inner\nf = make(40)',
        '((2,), {})',
      ),
    ).to.equal('42');
    expect(
      await fixture.value(
        'def f(n):\n    def fact(k):\n        return 1 if k < 2 else k * fact(k - 1)\n    return fact(n)',
        '((10,), {})',
      ),
    ).to.equal('3628800');
    expect(await fixture.value('def f(n):\n    return 1 if n < 2 else n * f(n - 1)', '((5,), {})')).to.equal('120');
  });

  it('runs a recursive function that was pickled with its globals', async () => {
    const source =
      'import dill\ndill.settings["recurse"] = True\ndef g(n):\n    return 1 if n < 2 else n * g(n - 1)\nf = g';
    const order = await fixture.order(source, '((5,), {})');
    await client.function('dill.settings["recurse"] = False\nf = 0');
    const [result] = await fixture.runAll([order]);
    expect((await client.load(result!.payload)).repr).to.equal('120');
  });

  it('returns functions, classes and instances of classes from __main__', async () => {
    expect(await fixture.value('def f(n):\n    return (lambda x: x * n)(3)', '((5,), {})')).to.equal('15');
    const result = await fixture.call(
      'def f():\n    class Made:\n        def __repr__(self):\n            return "Made!"\n    return [Made()]',
    );
    expect((await client.load(result.payload)).repr).to.equal('[Made!]');
    const lambda = await fixture.call('def f():\n    return lambda: 1');
    expect((await client.load(lambda.payload)).type).to.equal('function');
  });

  it('imports a function that was pickled by name from a folder on the path', async () => {
    // The client would need the module to pickle it, so the pickle is written out: GLOBAL user_module double.
    fixture.pool.addFunction('by reference', Buffer.from('cuser_module\ndouble\n.', 'latin1'));
    const order = { ...(await fixture.order('def f(x):\n    return x', '((21,), {})')), functionId: 'by reference' };
    const [result] = await fixture.runAll([order]);
    expect((await client.load(result!.payload)).repr).to.equal('42');
  });

  it('keeps the globals of one function out of another', async () => {
    await fixture.runAll(
      await Promise.all([1, 2, 3, 4].map(() => fixture.order('def f():\n    global leak\n    leak = 1'))),
    );
    expect(
      await fixture.value('def f():\n    return "leak" in globals(), sorted(n for n in globals() if n[:2] != "__")'),
    ).to.equal("(False, ['f'])");
  });

  it('does not show functions the platform: no settings, no runtime in __main__, no credentials', async () => {
    const environment = { ...process.env, REDIS_URL: 'redis://secret', NATS_URL: 'nats://secret', OWN: 'kept' };
    const own = new PoolFixture(client, { slots: 1, environment, sandbox: { kind: 'none' } });
    await own.pool.start();
    try {
      expect(
        await own.value(
          'def f():\n    import os\n    return [n for n in os.environ if n.startswith(("REDIS", "NATS", "MPCSFAAS_M", "OWN"))]',
        ),
      ).to.equal("['OWN']");
      expect(
        await own.value('def f():\n    import __main__, sys\n    return hasattr(__main__, "main"), sys.argv'),
      ).to.equal("(False, [''])");
    } finally {
      await own.pool.stop(0);
    }
  });

  it('takes and returns 100,000 elements, and 20 MB', async () => {
    expect(await fixture.value('def f(x):\n    return len(x), sum(x)', '((list(range(100000)),), {})')).to.equal(
      '(100000, 4999950000)',
    );
    const large = await fixture.call('def f(x):\n    return x + x', '((b"x" * 10_000_000,), {})');
    expect(large.outcome).to.equal('completed');
    expect(large.payload.length).to.be.greaterThan(20_000_000);
  }).timeout(5_000);

  it('says when a task started, how long it ran and how much memory the process used', async () => {
    const beforeMs = Date.now();
    const result = await fixture.call('def f():\n    import time\n    time.sleep(0.05)');
    expect(result.startedAtMs).to.be.within(beforeMs - 5, Date.now());
    expect(result.runTimeUs).to.be.within(50_000, 5_000_000);
    expect(result.peakMemoryKib).to.be.greaterThan(5_000);
  });
});
