import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { MODES, type Mode } from '../../bus/config.js';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PYTHON, PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

const FIXTURES = join(PACKAGE_ROOT, 'specs', 'platform', 'fixtures');
/** Python must not leave `__pycache__` in the source tree. */
const NO_BYTECODE = { PYTHONDONTWRITEBYTECODE: '1' };
const SLOTS = 2;

interface Report {
  right: number;
  wrong: string[];
}

async function runCourseClient({ apiUrl }: SpecPlatform, scenario: 'idle' | 'shapes' | 'threads'): Promise<Report> {
  const { stdout } = await promisify(execFile)(PYTHON, [join(FIXTURES, 'course_client.py'), apiUrl, scenario], {
    env: { ...process.env, ...NO_BYTECODE },
  });
  return JSON.parse(stdout) as Report;
}

/** The user's modules reach the workers in either of the two ways. */
async function startWithModules(mode: Mode): Promise<SpecPlatform> {
  if (mode !== 'pull') return startPlatform({ mode, slots: SLOTS, env: { ...NO_BYTECODE, PYTHONPATH: FIXTURES } });
  const platform = await startPlatform({ mode, workers: 0, env: NO_BYTECODE });
  const command = ['pull_worker', String(SLOTS), platform.dispatcherUrl, '--pythonpath', FIXTURES];
  await platform.addActor('worker', command);
  return platform;
}

/** Looks are counted on a platform that stands: a busy machine may still be starting its Python processes. */
async function firstTask(platform: SpecPlatform): Promise<void> {
  const python = new PythonClient();
  try {
    const client = new TaskClient(platform, python);
    await client.result(await client.submitOne('def f():\n    return 1'));
  } finally {
    await python.stop();
  }
}

for (const mode of MODES) {
  describe(`The course client in ${mode} mode`, function () {
    this.timeout(30_000);
    let platform: SpecPlatform;

    before(async () => {
      platform = await startWithModules(mode);
      await firstTask(platform);
    });
    after(() => platform.stop());

    it('gets the right value within its 20 looks, 200 times of 200', async () => {
      expect(await runCourseClient(platform, 'idle')).to.deep.equal({ right: 200, wrong: [] });
    });

    it('may write its functions in any way', async () => {
      expect(await runCourseClient(platform, 'shapes')).to.deep.equal({ right: 11, wrong: [] });
    });

    it('may be 50 threads', async () => {
      expect(await runCourseClient(platform, 'threads')).to.deep.equal({ right: 200, wrong: [] });
    });

    it('gets the original exception with its remote traceback, with dill alone', async () => {
      const python = new PythonClient();
      try {
        const client = new TaskClient(platform, python);
        const id = await client.submitOne(
          'class Odd(ValueError):\n    pass\ndef f(x):\n    raise Odd(f"not {x}")',
          [7],
        );
        const result = await platform.call('GET', `/result/${id}?wait=10`);
        const { status, result: payload } = result.body as { status: string; result: string };
        expect(status).to.equal('FAILED');
        const script = [
          'import dill, codecs, sys, traceback',
          'error = dill.loads(codecs.decode(sys.argv[1].encode(), "base64"))',
          'assert isinstance(error, ValueError) and type(error).__name__ == "Odd" and str(error) == "not 7", repr(error)',
          'traceback.print_exception(type(error), error, error.__traceback__, file=sys.stdout)',
        ].join('\n');
        const env = { ...process.env, PYTHONPATH: '' };
        const { stdout } = await promisify(execFile)(PYTHON, ['-c', script, payload], { env });
        expect(stdout).to.match(/Traceback[\s\S]*in f\b[\s\S]*Odd: not 7/);
      } finally {
        await python.stop();
      }
    });
  });
}
