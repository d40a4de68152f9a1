import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { type LoadedValue, PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

interface Failed {
  loaded: LoadedValue;
  failure: { type: string; message: string; traceback: string | null; signal: string | null; exit_code: number | null };
  attempts: number;
  worker: string | null;
  peak_memory_kib: number | null;
}

/** What `PythonClient` has is dill and the standard library, as a client of the course has. */
describe('A task that fails tells why', function () {
  this.timeout(40_000);
  let platform: SpecPlatform;
  let python: PythonClient;
  let client: TaskClient;

  before(async () => {
    python = new PythonClient();
    const env = { MAX_RESULT_BYTES: '100000', MAX_MEMORY: '400M' };
    platform = await startPlatform({ workers: 1, slots: 1, env });
    client = new TaskClient(platform, python);
  });
  after(async () => {
    await platform.stop();
    await python.stop();
  });

  async function fail(source: string, options: object = {}, status = 'FAILED'): Promise<Failed> {
    return ended(await client.submitOne(source, [], options), status);
  }

  async function ended(id: string, status = 'FAILED'): Promise<Failed> {
    const loaded = await client.result(id, 20_000);
    expect(loaded).to.include({ status, isException: true });
    const story = (await platform.call('GET', `/tasks/${id}`)).body as Omit<Failed, 'loaded'>;
    expect(story.failure.traceback ?? '').not.to.match(/runtime_\w+\.py/);
    expect(loaded.printed).not.to.match(/runtime_\w+\.py/);
    return { ...story, loaded };
  }

  it('UserException: the original exception, with where it was raised', async () => {
    const { failure, loaded, ...rest } = await fail(
      'def f():\n    def deep():\n        return {}["gone"]\n    return deep()',
    );
    expect(failure).to.deep.include({ type: 'UserException', message: "'gone'", exception: 'KeyError', signal: null });
    expect(failure.traceback).to.match(/^Traceback[^]* in f\n[^]* in deep\n[^]*KeyError: 'gone'/);
    expect(loaded.type).to.equal('builtins.KeyError');
    expect(loaded.printed).to.contain('in deep');
    expect(rest).to.include({ attempts: 1 });
    expect(rest.worker).to.be.a('string').that.is.not.empty;
    expect(rest.peak_memory_kib).to.be.greaterThan(5_000);
  });

  it('UserException: the whole chain of causes', async () => {
    const { failure } = await fail(
      'def f():\n    try:\n        try:\n            1 / 0\n        except ZeroDivisionError as e:\n            raise ValueError("middle") from e\n    except ValueError:\n        raise OSError("last")',
    );
    expect(failure.traceback).to.match(/ZeroDivisionError[^]*direct cause[^]*ValueError: middle[^]*OSError: last/);
  });

  it('Timeout: how long it was allowed', async () => {
    const { failure, loaded, attempts, peak_memory_kib } = await fail('def f():\n    while True:\n        pass', {
      timeout_s: 0.3,
    });
    expect(failure.type).to.equal('Timeout');
    expect(failure.message).to.contain('300 ms').and.contain('timeout_s');
    expect(loaded.type).to.equal('builtins.TimeoutError');
    expect(loaded.text).to.equal(`Timeout: ${failure.message}`);
    expect(attempts).to.equal(1);
    expect(peak_memory_kib).to.be.greaterThan(5_000);
  });

  it('Cancelled', async () => {
    const id = await client.submitOne('def f():\n    import time\n    time.sleep(60)');
    await eventually('it runs', async () => (await client.status(id)) === 'RUNNING');
    await client.cancel(id);
    const { failure, loaded } = await ended(id, 'CANCELLED');
    expect(failure.type).to.equal('Cancelled');
    expect(loaded.type).to.equal('concurrent.futures._base.CancelledError');
    expect(loaded.text).to.match(/^Cancelled: /);
  });

  it('ProcessCrashed: which signal, in how many attempts, and where in Python it was', async () => {
    const { failure, loaded, attempts } = await fail('def f():\n    import ctypes\n    ctypes.string_at(0)');
    expect(failure).to.include({ type: 'ProcessCrashed', signal: 'SIGSEGV' });
    expect(failure.message).to.contain('SIGSEGV, SIGSEGV, SIGSEGV');
    expect(failure.traceback).to.match(/Segmentation fault[^]* in f\n/);
    expect(loaded.type).to.equal('builtins.RuntimeError');
    expect(loaded.text).to.match(/^ProcessCrashed: .*SIGSEGV/);
    expect(attempts).to.equal(3);
  });

  it('ProcessCrashed: which exit code', async () => {
    const { failure, attempts } = await fail('def f():\n    import os\n    os._exit(9)', { max_attempts: 1 });
    expect(failure).to.include({ type: 'ProcessCrashed', exit_code: 9, signal: null });
    expect(attempts).to.equal(1);
  });

  it('MemoryLimit: how much it may have, and what can be done', async () => {
    const { failure, loaded, peak_memory_kib } = await fail(
      'def f():\n    hoard = []\n    while True:\n        hoard.append(bytearray(20_000_000))',
    );
    expect(failure.type).to.equal('MemoryLimit');
    expect(failure.message).to.contain('400 MiB').and.contain('--max-memory');
    expect(failure.traceback).to.contain('in f');
    expect(loaded.type).to.equal('builtins.MemoryError');
    expect(loaded.text).to.match(/^MemoryLimit: /);
    expect(peak_memory_kib).to.be.greaterThan(100_000);
  });

  it('DeserializationError: which module the worker lacks, and how to mend it', async () => {
    const { function_id } = (
      await platform.call('POST', '/register_function', {
        name: 'f',
        payload: Buffer.from('cno_such_module\nwork\n.').toString('base64'),
      })
    ).body as { function_id: string };
    const payload = await python.pickleArguments([]);
    const { task_id } = (await platform.call('POST', '/execute_function', { function_id, payload })).body as {
      task_id: string;
    };
    const { failure, loaded } = await ended(task_id);
    expect(failure.type).to.equal('DeserializationError');
    expect(failure.message).to.contain('no_such_module').and.contain('--pythonpath');
    expect(loaded.type).to.equal('builtins.ModuleNotFoundError');
    expect(loaded.text).to.contain('--pythonpath');
  });

  it('ResultSerializationError: what could not be, and why', async () => {
    const { failure, loaded } = await fail(
      'def f():\n    class Odd:\n        def __reduce__(self):\n            raise ValueError("not me")\n    return [Odd()]',
    );
    expect(failure.type).to.equal('ResultSerializationError');
    expect(failure.message).to.contain('list').and.contain('not me');
    expect(failure.traceback).to.match(/in __reduce__\n[^]*ValueError: not me[^]*direct cause/);
    expect(loaded.type).to.equal('builtins.TypeError');
    expect(loaded.text).to.match(/^ResultSerializationError: /);
  });

  it('ResultTooLarge: how large, and how large it may be', async () => {
    const { failure, loaded } = await fail('def f():\n    return "x" * 200_000');
    expect(failure.type).to.equal('ResultTooLarge');
    expect(failure.message).to.contain('100000').and.contain('MAX_RESULT_BYTES');
    expect(loaded.type).to.equal('builtins.ValueError');
    expect(loaded.text).to.match(/^ResultTooLarge: /);
  });

  it('DependencyFailed: which task it needed, and what became of that one', async () => {
    const needed = await client.submitOne('def f():\n    raise OSError("no disk")');
    const id = await client.submitOne('def f():\n    return 1', [], { depends_on: [needed] });
    const { failure, loaded } = await ended(id);
    expect(failure.type).to.equal('DependencyFailed');
    expect(failure.message).to.contain(`task ${needed}, which it depends on, failed`);
    expect(loaded.type).to.equal('builtins.RuntimeError');
    expect(loaded.text).to.match(/^DependencyFailed: /);
  });

  it('WorkerFailure: which worker was lost', async () => {
    const id = await client.submitOne('def f():\n    import time\n    time.sleep(60)', [], { max_attempts: 1 });
    await eventually('it runs', async () => (await client.status(id)) === 'RUNNING');
    await sleep(100);
    await platform.workers[0]!.kill('SIGKILL');
    const { failure, loaded, attempts, worker } = await ended(id);
    expect(failure.type).to.equal('WorkerFailure');
    expect(failure.message).to.contain(worker);
    expect(loaded.type).to.equal('builtins.RuntimeError');
    expect(loaded.text).to.match(/^WorkerFailure: /);
    expect(attempts).to.equal(1);
    await platform.workers[0]!.restart();
  });
});
