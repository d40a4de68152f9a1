import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TaskResult } from '../../bus/messages.js';
import { PoolFixture } from './support/poolFixture.js';
import { PythonClient, type Loaded } from './support/pythonClient.js';

describe('a Python pool running functions that fail', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mpcsfaas-failures-'));
  let client: PythonClient;
  let fixture: PoolFixture;

  before(async () => {
    writeFileSync(
      join(folder, 'worker_only.py'),
      'class OnlyHere(KeyError):\n    pass\ndef fail():\n    raise OnlyHere("gone")\n',
    );
    client = new PythonClient();
    fixture = new PoolFixture(client, { pythonPath: [folder], maxResultBytes: 100_000 });
    await fixture.pool.start();
  });
  after(async () => {
    await fixture.pool.stop(0);
    client.close();
    rmSync(folder, { recursive: true });
  });

  async function fail(source: string, args?: string): Promise<{ result: TaskResult; loaded: Loaded }> {
    const result = await fixture.call(source, args);
    expect(result.outcome, JSON.stringify(result.failure)).to.equal('failed');
    return { result, loaded: await client.load(result.payload) };
  }

  it('returns the original exception, its remote traceback as the cause', async () => {
    const { result, loaded } = await fail('def f(x):\n    return 1 / x', '((0,), {})');
    expect(loaded).to.include({ type: 'ZeroDivisionError', text: 'division by zero' });
    expect(loaded.cause).to.contain('Traceback (most recent call last)').and.contain('client_code.py", line 2, in f');
    expect(loaded.cause).not.to.contain('runtime_loop');
    expect(result.failure).to.include({
      type: 'UserException',
      message: 'division by zero',
      exception: 'ZeroDivisionError',
    });
    const bases = ['ZeroDivisionError', 'ArithmeticError', 'Exception', 'BaseException'];
    expect(result.failure?.bases).to.deep.equal(bases);
    expect(result.failure?.traceback).to.contain('in f').and.not.contain('runtime_loop');
    expect(result.startedAtMs).to.be.greaterThan(Date.now() - 5_000);
  });

  it('keeps the chain of causes in the traceback', async () => {
    const { loaded } = await fail(
      'def f():\n    try:\n        {}["a"]\n    except KeyError as e:\n        raise ValueError("outer") from e',
    );
    expect(loaded.type).to.equal('ValueError');
    expect(loaded.cause).to.contain("KeyError: 'a'").and.contain('direct cause').and.contain('ValueError: outer');
  });

  it('carries an exception class from __main__ with its attributes', async () => {
    const { loaded } = await fail(
      'class Mine(Exception):\n    def __init__(self, a, b):\n        super().__init__(f"{a}-{b}")\n        self.a = a\ndef f():\n    raise Mine(1, 2)\nMine.__module__ = "__main__"\nf.__globals__["Mine"] = Mine\ng = f\ndef make(Mine):\n    def f():\n        raise Mine(1, 2)\n    return f\nf = make(Mine)',
    );
    expect(loaded).to.include({ type: 'Mine', text: '1-2', module: '__main__' });
  });

  it('replaces an exception of a module that the client lacks by its standard base', async () => {
    fixture.pool.addFunction('worker_only', Buffer.from('cworker_only\nfail\n.', 'latin1'));
    const order = { ...(await fixture.order('def f():\n    pass')), functionId: 'worker_only' };
    const known = (await fixture.runAll([order]))[0]!;
    // The client named the module itself, so it gets the class by reference, which here it cannot load.
    expect(known.payload.includes('worker_only')).to.equal(true);
    const { result, loaded } = await fail(
      'def f(name):\n    __import__("".join(name)).fail()',
      '((["worker_", "only"],), {})',
    );
    expect(result.failure?.exception).to.equal('OnlyHere');
    expect(loaded.type).to.equal('KeyError');
    expect(loaded.text).to.contain('OnlyHere').and.contain('gone');
  });

  it('replaces an exception that cannot be pickled', async () => {
    const { loaded } = await fail(
      'def f():\n    import threading\n    class Bad(OSError):\n        def __reduce__(self):\n            raise RuntimeError("no")\n    e = Bad("told")\n    e.lock = threading.Lock()\n    raise e',
    );
    expect(loaded.bases).to.include('OSError');
    expect(loaded.text).to.contain('told');
  });

  it('bounds the text of an exception, and survives one whose __str__ raises', async () => {
    const huge = await fail('def f():\n    raise ValueError("x" * 10_000_000)');
    expect(huge.loaded.type).to.equal('ValueError');
    expect(huge.result.failure!.message.length).to.be.lessThan(65_537);
    expect(huge.result.payload.length).to.be.lessThan(300_000);
    const mute = await fail(
      'def f():\n    class Mute(ValueError):\n        def __str__(self):\n            raise RuntimeError("no text")\n    raise Mute()',
    );
    expect(mute.result.failure?.message).to.contain('__str__ raised RuntimeError');
    expect(mute.loaded.bases).to.include('ValueError');
  });

  it('catches sys.exit, KeyboardInterrupt, GeneratorExit, infinite recursion and MemoryError', async () => {
    expect((await fail('def f():\n    import sys\n    sys.exit(3)')).loaded).to.include({
      type: 'SystemExit',
      text: '3',
    });
    expect((await fail('def f():\n    raise KeyboardInterrupt')).loaded.type).to.equal('KeyboardInterrupt');
    expect((await fail('def f():\n    raise GeneratorExit')).loaded.type).to.equal('GeneratorExit');
    const recursion = await fail('def f():\n    def g():\n        g()\n    g()');
    expect(recursion.loaded.type).to.equal('RecursionError');
    const memory = await fail('def f():\n    return bytearray(1 << 60)');
    expect(memory.loaded.type).to.equal('MemoryError');
    expect(memory.result.failure?.type).to.equal('MemoryLimit');
  });

  it('enforces a memory limit as MemoryError', async () => {
    const small = new PoolFixture(client, { slots: 1, maxMemoryBytes: 300 << 20 });
    await small.pool.start();
    try {
      const result = await small.call('def f():\n    return len([bytearray(10_000_000) for _ in range(100)])');
      expect(result.failure?.type).to.equal('MemoryLimit');
      expect(await small.value('def f():\n    return 1')).to.equal('1');
    } finally {
      await small.pool.stop(0);
    }
  });

  it('says which module is missing, and how to mend it', async () => {
    fixture.pool.addFunction('missing', Buffer.from('cno_such_module\nwork\n.', 'latin1'));
    const order = { ...(await fixture.order('def f():\n    pass')), functionId: 'missing' };
    const [result] = await fixture.runAll([order]);
    expect(result?.failure?.type).to.equal('DeserializationError');
    expect(result?.failure?.message).to.contain("No module named 'no_such_module'").and.contain('--pythonpath');
    const loaded = await client.load(result!.payload);
    expect(loaded.type).to.equal('ModuleNotFoundError');
    expect(loaded.text).to.contain('--pythonpath');
  });

  it('refuses arguments that are no (tuple, dict), functions that are none, and broken pickles', async () => {
    for (const args of ['5', '(1, 2)', '((), {}, 1)', '((), [])']) {
      const { result, loaded } = await fail('def f():\n    return 1', args);
      expect(result.failure?.type).to.equal('DeserializationError');
      expect(loaded.type).to.equal('TypeError');
    }
    for (const [id, body] of [
      ['not callable', Buffer.from('I5\n.')],
      ['broken', Buffer.from('\x80\x05garbage', 'latin1')],
      ['empty', Buffer.alloc(0)],
    ] as const) {
      fixture.pool.addFunction(id, body);
      const order = { ...(await fixture.order('def f():\n    pass')), functionId: id };
      expect((await fixture.runAll([order]))[0]?.failure?.type).to.equal('DeserializationError');
    }
    expect(await fixture.value('def f():\n    return 1')).to.equal('1');
  });

  it('says that a result cannot be pickled, or is too large', async () => {
    const generator = await fail('def f():\n    return (i for i in [1])');
    expect(generator.result.failure?.type).to.equal('ResultSerializationError');
    expect(generator.result.failure?.message).to.contain('generator');
    expect(generator.loaded.text).to.match(/^ResultSerializationError: /);
    const large = await fail('def f():\n    return "x" * 200_000');
    expect(large.result.failure?.type).to.equal('ResultTooLarge');
    expect(large.result.failure?.message).to.contain('100000');
    expect(large.loaded.text).to.match(/^ResultTooLarge: /);
  });
});
