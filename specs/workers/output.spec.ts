import { expect } from 'chai';
import { type OutputPiece, printedBytes, readRecord } from '../../bus/outputRecord.js';
import { Gate } from '../support/gate.js';
import { eventually, PoolFixture } from './support/poolFixture.js';
import { PythonClient } from './support/pythonClient.js';

describe('what a function prints', () => {
  let client: PythonClient;
  let fixture: PoolFixture;
  before(async () => {
    client = new PythonClient();
    fixture = new PoolFixture(client, { slots: 1, maxOutputBytes: 10_000 });
    await fixture.pool.start();
  });
  after(async () => {
    await fixture.pool.stop(0);
    client.close();
  });

  const pieces = async (source: string): Promise<OutputPiece[]> =>
    readRecord((await fixture.call(source)).output).pieces;
  const textOf = (record: Buffer): string => printedBytes(record).toString();
  const printed = async (source: string): Promise<string> => textOf((await fixture.call(source)).output);
  const byStream = async (source: string): Promise<string[]> =>
    (await pieces(source)).map(({ stream, bytes }) => `${stream}: ${bytes.toString()}`);

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

  it('says which stream, and when; what C code and subprocesses write is in its place among the rest', async () => {
    const source =
      'def f():\n    import sys, os, subprocess, ctypes\n    print("a")\n    print("b", file=sys.stderr)\n    os.write(1, b"c\\n")\n    print("d")\n' +
      '    subprocess.run("echo e >&2", shell=True)\n    print("f")\n    ctypes.CDLL(None).printf(b"%d", 7)\n    print("g")\n    ctypes.CDLL(None).puts(b"h")';
    const beganMs = Date.now();
    expect(await byStream(source)).to.deep.equal(
      [
        'stdout: a',
        'stderr: b',
        'stdout: c',
        'stdout: d',
        'stderr: e',
        'stdout: f',
        'stdout: 7',
        'stdout: g',
        'stdout: h',
      ].map((line) => (line.endsWith('7') ? line : `${line}\n`)),
    );
    const spaced = await pieces('def f():\n    import time\n    print(1)\n    time.sleep(0.2)\n    print(2)');
    expect(spaced[1]!.atMs - spaced[0]!.atMs).to.be.within(190, 2_000);
    expect(spaced[0]!.atMs).to.be.within(beganMs, Date.now());
  });

  it('names its attempt', async () => {
    const order = { ...(await fixture.order('def f():\n    print(1)')), fence: '7:nonce' };
    const [result] = await fixture.runAll([order]);
    expect(readRecord(result!.output).attempt).to.equal(7);
  });

  it('does not include what threads of an earlier task print', async () => {
    await fixture.call(
      'def f():\n    import threading, time, _thread\n    def chatter():\n        while True:\n            print("stranger")\n            time.sleep(0.001)\n' +
        '    threading.Thread(target=chatter, daemon=True).start()\n    _thread.start_new_thread(chatter, ())\n    time.sleep(0.05)',
    );
    const own =
      'def f():\n    import threading, time\n    helper = threading.Thread(target=lambda: [print("own thread"), time.sleep(0.05), print("still")])\n' +
      '    helper.start()\n    print("own")\n    helper.join()';
    expect((await printed(own)).split('\n').sort()).to.deep.equal(['', 'own', 'own thread', 'still']);
    expect(await printed('def f():\n    import time\n    time.sleep(0.05)')).to.equal('');
    // So that they do not go on beside the other specs.
    await fixture.call('def f():\n    import os\n    os._exit(0)');
    fixture.events.length = 0;
  });

  it('includes the last words of a process that crashed, and where it was', async () => {
    const { output, failure } = await fixture.call(
      'def f():\n    import ctypes, os\n    print("told", end="")\n    os.write(1, b"raw")\n    def inner():\n        ctypes.string_at(0)\n    inner()',
    );
    const { pieces: said } = readRecord(output);
    expect(said.find(({ stream }) => stream === 'stdout')?.bytes.toString()).to.equal('raw');
    expect(failure?.signal).to.equal('SIGSEGV');
    expect(failure?.traceback)
      .to.match(/Segmentation fault[^]* in inner[^]* in f\n/)
      .and.not.contain('runtime_loop');
    expect(textOf(output)).to.contain('Segmentation fault').and.not.contain('runtime_loop');
    fixture.events.length = 0;
  });

  it('is cut at the limit, and says so', async () => {
    for (const source of [
      'def f():\n    for i in range(100000):\n        print("line", i)',
      'def f():\n    import os\n    for i in range(1000):\n        os.write(1, b"x" * 100)',
    ]) {
      const result = await fixture.call(source);
      // Each line costs 13 bytes besides its text; the mark of the cut and the head are beyond.
      expect(result.output.length).to.be.within(10_000 - 13, 10_000 + 18);
      expect(result.outputTruncated).to.equal(true);
      expect(readRecord(result.output).truncated).to.equal(true);
    }
    const next = await fixture.call('def f():\n    print("fits")');
    expect(next.outputTruncated).to.equal(false);
    expect(textOf(next.output)).to.equal('fits\n');
  });

  it('comes while the function still runs, for who follows it', async () => {
    let told = 0;
    fixture.pool.onPrinted = () => told++;
    const gate = new Gate();
    const source =
      'def f(gate):\n    import time, os, subprocess\n    print("a")\n    print("b")\n    os.write(2, b"c\\n")\n    print("d", end="")\n' +
      '    subprocess.run("echo e", shell=True)\n    while not os.path.exists(gate):\n        time.sleep(0.02)';
    // Known to be short: its lines are gathered, where nobody follows.
    for (let i = 0; i < 30; i++) await fixture.call('def f():\n    print(1)');
    expect(told).to.equal(0);
    const order = await fixture.order(source, `((${JSON.stringify(gate.path)},), {})`);
    const done = fixture.runAll([order]);
    fixture.pool.follow(order, true);
    const soFar = (): string => textOf(fixture.pool.printed(order, 0, 10_000)?.bytes ?? Buffer.alloc(0));
    await eventually(
      () => soFar().startsWith('a\nb\n') && ['c\n', 'd', 'e\n'].every((each) => soFar().includes(each)),
      10_000,
    );
    expect(told).to.be.greaterThan(0);
    expect(fixture.pool.load().running).to.equal(1);
    const whole = fixture.pool.printed(order, 0, 10_000)!;
    for (const from of [0, 1, 17, whole.length - 1, whole.length]) {
      expect(fixture.pool.printed(order, from, 9)!.bytes).to.deep.equal(whole.bytes.subarray(from, from + 9));
    }
    gate.open();
    expect((await done)[0]?.output.equals(whole.bytes)).to.equal(true);
    gate.remove();
    expect(fixture.pool.printed(order, 0, 10)).to.equal(undefined);
  });

  it('belongs to its own task, and not to the next, when tasks are sent ahead', async () => {
    const source = 'def f(x):\n    print(x)';
    await fixture.call(source, '((0,), {})');
    const orders = await Promise.all(Array.from({ length: 200 }, (_, i) => fixture.order(source, `((${i},), {})`)));
    const results = await fixture.runAll(orders);
    expect(results.map((result) => textOf(result.output))).to.deep.equal(orders.map((_, i) => `${i}\n`));
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
