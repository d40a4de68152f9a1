import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { until } from '../store/support/until.js';
import { type SpecActor, type SpecPlatform, startPlatform } from '../support/platform.js';
import { PYTHON, PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

/** What `make setup-pypy` installs. */
const PYPY = join(PACKAGE_ROOT, '.platform', 'pypy', 'python');

/** Tells who runs it. It imports what it needs, so that its source is complete. */
const WHO = who(0);
/** The same, as another function: its pickle differs. */
function who(tag: number): string {
  return `def f(x=0, tag=${tag}):\n    import sys\n    return sys.implementation.name, x\n`;
}

interface Origin {
  python_implementation: string;
  python_version: string;
  dill_version: string;
}

describe('Workers of two Pythons', function () {
  this.timeout(60_000);
  let platform: SpecPlatform;
  let cpython: PythonClient;
  let pypy: PythonClient;
  let client: TaskClient;
  let cpythonOrigin: Origin;
  let pypyOrigin: Origin;

  before(async function () {
    // `make setup-pypy` says why it cannot be had; `make test` has tried it.
    if (!existsSync(PYPY)) return this.skip();
    cpython = new PythonClient();
    pypy = new PythonClient(PYPY);
    cpythonOrigin = originOf(PYTHON);
    pypyOrigin = originOf(PYPY);
    platform = await startPlatform({ workers: 0 });
    client = new TaskClient(platform, cpython);
  });
  after(async () => {
    if (!existsSync(PYPY)) return;
    await platform.stop();
    await Promise.all([cpython.stop(), pypy.stop()]);
  });
  let workers: SpecActor[] = [];
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    workers = [];
  });

  /** Starts workers and waits until the API can know of them. */
  const start = async (...pythons: string[]): Promise<void> => {
    for (const python of pythons) {
      const name = `${python === PYPY ? 'pypy' : 'cpython'}-${Math.random()}`;
      const args = ['push_worker', '2', platform.dispatcherUrl, '--python', python];
      workers.push(await platform.addActor(name, args));
    }
    await seen(workers.length);
  };
  const seen = (count: number): Promise<boolean> =>
    until(async () => {
      const { body } = await platform.call('GET', '/workers');
      return (body as { workers: unknown[] }).workers.length === count;
    }, 15_000);

  const register = async (python: PythonClient, source: string, more: object = {}): Promise<string> => {
    const payload = await python.pickleFunction(source, 'f');
    const { status, body } = await platform.call('POST', '/register_function', { name: 'f', payload, ...more });
    expect(status, JSON.stringify(body)).to.equal(200);
    return (body as { function_id: string }).function_id;
  };
  const submit = async (functionId: string, x: unknown): Promise<{ status: number; body: unknown }> => {
    const payload = await cpython.pickleArguments([x]);
    return platform.call('POST', '/execute_function', { function_id: functionId, payload });
  };
  const accepted = async (functionId: string, x: unknown = 1): Promise<string> => {
    const { status, body } = await submit(functionId, x);
    expect(status, JSON.stringify(body)).to.equal(200);
    return (body as { task_id: string }).task_id;
  };
  const results = async (ids: string[]): Promise<string[]> => (await client.results(ids)).map(({ repr }) => repr);

  it('each get the functions that were made by theirs', async () => {
    await start(PYTHON, PYPY);
    const [ours, theirs] = [await register(cpython, WHO, cpythonOrigin), await register(pypy, WHO, pypyOrigin)];
    for (const [functionId, name] of [
      [ours, 'cpython'],
      [theirs, 'pypy'],
    ] as const) {
      const ids = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((x) => accepted(functionId, x)));
      expect(await results(ids)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8].map((x) => `('${name}', ${x})`));
    }
    const { body } = await platform.call('GET', `/functions/${theirs}`);
    expect(body).to.include({
      python: `pypy ${pypyOrigin.python_version}`,
      dill_version: pypyOrigin.dill_version,
      source_is_complete: false,
      needs_python: `pypy-${minor(pypyOrigin)}`,
    });
  });

  it('compile the source where the pickle is of the other, if it is complete', async () => {
    await start(PYPY);
    const source = `# of two Pythons\n${WHO}`;
    const complete = { ...cpythonOrigin, source, source_is_complete: true };
    const id = await accepted(await register(cpython, source, complete), 7);
    expect(await results([id])).to.deep.equal(["('pypy', 7)"]);
    for (const text of ['f = lambda x: [x, f.__name__]', 'async def f(x): pass\nf = lambda x: [x, f.__name__]']) {
      const functionId = await register(cpython, text, { ...complete, source: text });
      expect(await results([await accepted(functionId, 'é')])).to.deep.equal(["['é', '<lambda>']"]);
    }
  });

  it('say what is wrong with a source', async () => {
    await start(PYPY);
    const complete = { ...cpythonOrigin, source_is_complete: true };
    const wrong = { 'g = 1': /NameError.*does not define 'f'/, 'def f(:': /SyntaxError/, 'import no_such': /no_such/ };
    let tag = 10;
    for (const [source, says] of Object.entries(wrong)) {
      const functionId = await register(cpython, who(tag++), { ...complete, source });
      expect((await failureOf(await accepted(functionId)))!.message).to.match(says);
    }
  });

  const failureOf = async (id: string): Promise<{ type: string; message: string } | null> => {
    await client.results([id]);
    return (await client.story(id)).failure;
  };

  it('refuse at submit, in words, what none of them can run', async () => {
    await start(PYPY);
    const functionId = await register(cpython, who(1), cpythonOrigin);
    const { status, body } = await submit(functionId, 1);
    expect(status).to.equal(409);
    expect(body).to.include({ code: 'NO_WORKER_WITH_PYTHON' });
    const { detail, remedy } = body as Record<string, string>;
    expect(detail).to.contain(`made by cpython-${minor(cpythonOrigin)}`);
    expect(detail).to.contain(`the connected workers have pypy-${minor(pypyOrigin)}`);
    expect(remedy).to.match(/Start a worker with that Python/);
    const batch = { function_id: functionId, payloads: [await cpython.pickleArguments([1])] };
    expect((await platform.call('POST', '/tasks', batch)).status).to.equal(409);
    // A worker with such a label may come: its Python is not known.
    expect((await platform.call('POST', '/tasks', { ...batch, labels: ['gpu'] })).status).to.equal(200);
    // A worker that has come is seen at once.
    await start(PYTHON);
    expect(await results([await accepted(functionId)])).to.deep.equal(["('cpython', 1)"]);
  });

  it('let tasks wait for one that joins later, and tell so', async () => {
    const functionId = await register(cpython, who(2), cpythonOrigin);
    const id = await accepted(functionId, 5);
    const reason = async (): Promise<{ reason: string; text: string }> =>
      ((await client.story(id)) as unknown as { waiting_for: { reason: string; text: string } }).waiting_for;
    expect(await reason()).to.include({ reason: 'no_worker' });
    await start(PYPY);
    expect(await reason()).to.deep.equal({
      reason: 'no_worker_with_python',
      text: `waits for a worker with cpython-${minor(cpythonOrigin)}: 1 worker is connected, with pypy-${minor(pypyOrigin)}`,
    });
    await start(PYTHON);
    expect(await results([id])).to.deep.equal(["('cpython', 5)"]);
  });

  it('fail with VersionMismatch what nobody told them the Python of', async () => {
    await start(PYPY);
    const nothing = {};
    const functionId = await register(cpython, who(3), nothing);
    const failure = await failureOf(await accepted(functionId));
    expect(failure!.type).to.equal('VersionMismatch');
    expect(failure!.message)
      .to.contain(`pypy ${pypyOrigin.python_version}`)
      .and.to.match(/start a worker with/);
    const [shown] = await client.results([await accepted(functionId)]);
    expect(shown).to.include({ status: 'FAILED', type: 'builtins.RuntimeError' });
    expect(shown!.text).to.match(/^VersionMismatch: /);
    // Told later, the same bytes are refused.
    await register(cpython, who(3), cpythonOrigin);
    expect((await submit(functionId, 1)).status).to.equal(409);
  });

  it('run what the Python client sends of another Python, or it says why not', async () => {
    await start(PYPY);
    expect(await runProgram(CLIENT_PROGRAM)).to.deep.equal([
      "('pypy', 5)",
      `True made by cpython-${minor(cpythonOrigin)}`,
      'True among the arguments',
    ]);
  });
  const runProgram = async (program: string): Promise<string[]> => {
    const directory = mkdtempSync(join(tmpdir(), 'versions-'));
    try {
      const file = join(directory, 'program.py');
      writeFileSync(file, program);
      const env = { ...process.env, PYTHONPATH: join(PACKAGE_ROOT, 'python'), MPCSFAAS_URL: platform.apiUrl };
      const { stdout } = await promisify(execFile)(PYTHON, [file], { env, timeout: 30_000 });
      return stdout.trim().split('\n');
    } finally {
      rmSync(directory, { recursive: true });
    }
  };

  it('fail alike the other way round, and for functions among the arguments', async () => {
    await start(PYTHON);
    const id = await accepted(await register(pypy, who(4)));
    expect((await failureOf(id))!.type).to.equal('VersionMismatch');
    const [apply] = [await register(cpython, 'def f(g):\n    return g(1)')];
    const payload = await pypy.pickle('((lambda x: x + 1,), {})');
    const { body } = await platform.call('POST', '/execute_function', { function_id: apply, payload });
    const failure = await failureOf((body as { task_id: string }).task_id);
    expect(failure!.type).to.equal('VersionMismatch');
    expect(failure!.message).to.match(/function among the arguments/);
  });
});

const CLIENT_PROGRAM = `
import re
from mpcsfaas import Executor, NoSuitableWorker, VersionMismatch

FACTOR = 2

def who(x):
    import sys
    return sys.implementation.name, x

def with_a_global(x):
    return x * FACTOR

def call(function):
    return function(1)

if __name__ == "__main__":
    with Executor() as executor:
        print(executor.submit(who, 5).result(30))
        for function, argument, kind in (with_a_global, 1, NoSuitableWorker), (call, lambda x: x, VersionMismatch):
            try:
                print(executor.submit(function, argument).result(30))
            except Exception as error:
                said = re.search("made by [^ ,]+|among the arguments", str(error))
                print(isinstance(error, kind) and isinstance(error, RuntimeError), said and said[0])
`;

function originOf(python: string): Origin {
  const program =
    'import dill, json, platform, sys; print(json.dumps({"python_implementation": sys.implementation.name, "python_version": platform.python_version(), "dill_version": dill.__version__}))';
  return JSON.parse(execFileSync(python, ['-c', program], { encoding: 'utf8' })) as Origin;
}

const minor = ({ python_version }: Origin): string => python_version.split('.').slice(0, 2).join('.');
