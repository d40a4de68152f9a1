import { expect } from 'chai';
import { eventually, PoolFixture } from './support/poolFixture.js';
import { PythonClient } from './support/pythonClient.js';

describe('what a function prints', () => {
  let client: PythonClient;
  let fixture: PoolFixture;
  const live: string[] = [];

  before(async () => {
    client = new PythonClient();
    fixture = new PoolFixture(client, {
      slots: 1,
      maxOutputBytes: 10_000,
      onOutput: (_task, stream, bytes) => live.push(`${stream}:${bytes.toString()}`),
    });
    await fixture.pool.start();
  });
  after(async () => {
    await fixture.pool.stop(0);
    client.close();
  });

  const printed = async (source: string): Promise<string> => (await fixture.call(source)).output.toString();

  it('is with its result, stdout and stderr in order', async () => {
    expect(
      await printed(
        'def f():\n    import sys\n    print("one")\n    print("two", file=sys.stderr)\n    print("three", end="")',
      ),
    ).to.equal('one\ntwo\nthree');
    expect(await printed('def f():\n    return 1')).to.equal('');
    expect(await printed('def f():\n    print("told")\n    raise ValueError')).to.equal('told\n');
  });

  it('includes what C code, subprocesses and raw descriptors write', async () => {
    expect(await printed('def f():\n    import os\n    os.write(1, b"raw\\n")\n    os.write(2, b"err\\n")')).to.equal(
      'raw\nerr\n',
    );
    expect(await printed('def f():\n    import subprocess\n    subprocess.run(["echo", "from below"])')).to.equal(
      'from below\n',
    );
    expect(
      await printed(
        'def f():\n    import sys\n    sys.stdout.buffer.write(b"bytes\\n")\n    sys.stdout.flush()\n    assert sys.stdout.fileno() == 1',
      ),
    ).to.equal('bytes\n');
    expect(
      await printed('def f():\n    import os\n    os.system("echo shell > /dev/stderr; echo more >&2")'),
    ).to.contain('more');
  });

  it('is cut at the limit, and says so', async () => {
    for (const source of [
      'def f():\n    for i in range(100000):\n        print("line", i)',
      'def f():\n    import os\n    for i in range(1000):\n        os.write(1, b"x" * 100)',
    ]) {
      const result = await fixture.call(source);
      expect(result.output.length).to.equal(10_000);
      expect(result.outputTruncated).to.equal(true);
    }
    const next = await fixture.call('def f():\n    print("fits")');
    expect(next.outputTruncated).to.equal(false);
    expect(next.output.toString()).to.equal('fits\n');
  });

  it('comes while the function still runs', async () => {
    live.length = 0;
    const order = await fixture.order(
      'def f():\n    import time, os\n    print("a")\n    print("b")\n    os.write(2, b"c\\n")\n    time.sleep(1.4)',
    );
    const done = fixture.runAll([order]);
    await eventually(() => live.join('').includes('a\n'), 300);
    // Within the look-round of one second also what had been held, and what was written below Python.
    await eventually(() => live.join('').includes('b\n') && live.join('').includes('c\n'), 1_200);
    expect(fixture.pool.load().running).to.equal(1);
    expect((await done)[0]?.output.toString()).to.equal('a\nb\nc\n');
  });

  it('belongs to its own task, and not to the next, when tasks are sent ahead', async () => {
    const source = 'def f(x):\n    print(x)';
    await fixture.call(source, '((0,), {})');
    const orders = await Promise.all(Array.from({ length: 200 }, (_, i) => fixture.order(source, `((${i},), {})`)));
    const results = await fixture.runAll(orders);
    expect(results.map((result) => result.output.toString())).to.deep.equal(orders.map((_, i) => `${i}\n`));
  });

  it('works again after a function closed or replaced stdout', async () => {
    for (const spoil of [
      'sys.stdout.close()',
      'sys.stdout = None',
      'os.close(1)',
      'os.close(0); os.close(1); os.close(2)',
      'sys.stderr.close(); os.close(2)',
      'os.dup2(os.open("/dev/null", 2), 1)',
    ]) {
      await fixture.call(`def f():\n    import os, sys\n    ${spoil}`);
      expect(
        await printed(
          'def f():\n    import os, sys\n    print("p", file=sys.stderr)\n    os.write(1, b"w\\n")\n    os.write(2, b"e\\n")\n    assert os.read(0, 1) == b""',
        ),
        spoil,
      ).to.equal('p\nw\ne\n');
    }
    expect(fixture.events.filter((event) => event.type === 'ended')).to.deep.equal([]);
  });
});
