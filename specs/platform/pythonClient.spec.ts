import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { eventually } from '../support/eventually.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PYTHON } from '../support/python.js';

const PACKAGE = join(PACKAGE_ROOT, 'python');
const TESTS = join(PACKAGE, 'tests', 'with_platform');
/** The client of this checkout, the functions of its tests, and no `__pycache__` in the source tree. */
const PYTHON_PATH = [PACKAGE, TESTS].join(delimiter);
const ENV = { PYTHONDONTWRITEBYTECODE: '1' };

/** Names of the tests in a file, as unittest has them: `Class.test_something`. */
function testNames(file: string): string[] {
  let group = '';
  const names: string[] = [];
  for (const line of readFileSync(join(TESTS, file), 'utf8').split('\n')) {
    group = /^class (\w+)\(/.exec(line)?.[1] ?? group;
    const test = /^ {4}(?:async )?def (test_\w+)\(/.exec(line)?.[1];
    if (test !== undefined) names.push(`${group}.${test}`);
  }
  return names;
}

/** One run of a file of tests; tells of each test when it is over. */
class TestRun {
  private readonly outcomes = new Map<string, string | null>();
  private readonly waiting = new Map<string, () => void>();
  private readonly process: ChildProcess;
  private errors = '';
  private over = false;

  constructor(file: string, platform: SpecPlatform) {
    this.process = spawn(PYTHON, ['run.py', file.replace('.py', '')], {
      cwd: TESTS,
      env: { ...process.env, ...ENV, PYTHONPATH: PYTHON_PATH, MPCSFAAS_URL: platform.apiUrl },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    createInterface({ input: this.process.stdout! }).on('line', (line) => {
      if (!line.startsWith('{')) return;
      const { test, why } = JSON.parse(line) as { test: string; why: string | null };
      this.outcomes.set(test, why);
      this.waiting.get(test)?.();
    });
    this.process.once('close', () => {
      this.over = true;
      for (const wake of this.waiting.values()) wake();
    });
  }

  /** @throws what the test said when it failed, or the words of a run that died. */
  async mustPass(test: string): Promise<void> {
    if (!this.outcomes.has(test) && !this.over) await new Promise<void>((wake) => this.waiting.set(test, wake));
    const why = this.outcomes.get(test);
    if (why === undefined) expect.fail(`the test was not run:\n${this.errors}`);
    if (why !== null) expect.fail(why);
  }

  async stop(): Promise<void> {
    if (this.over) return;
    const ended = once(this.process, 'close');
    this.process.kill('SIGKILL');
    await ended;
  }
}

describe('The Python client', function () {
  this.timeout(90_000);
  let platform: SpecPlatform;
  before(async () => {
    platform = await startPlatform({
      env: { ...ENV, PYTHONPATH: PYTHON_PATH, MAX_RESULT_BYTES: '33554432', WORKER_LABELS: 'gpu,big' },
    });
    // Tests ask who is there; dispatchers report that once a heartbeat, so that the first of them may be too early.
    await eventually('the worker is reported', async () => {
      const { dispatchers } = (await platform.call('GET', '/dispatchers')).body as { dispatchers: { slots: number }[] };
      const { workers } = (await platform.call('GET', '/workers')).body as { workers: unknown[] };
      return workers.length > 0 && (dispatchers[0]?.slots ?? 0) > 0;
    });
  });
  after(() => platform.stop());

  for (const file of readdirSync(TESTS).filter((name) => /^test_\w+\.py$/.test(name))) {
    describe(file, () => {
      let run: TestRun;
      before(() => {
        run = new TestRun(file, platform);
      });
      after(() => run.stop());
      for (const test of testNames(file)) {
        it(test.replaceAll('_', ' ').replace('.test ', ': '), () => run.mustPass(test));
      }
    });
  }
});
