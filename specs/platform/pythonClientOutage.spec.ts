import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { eventually } from '../support/eventually.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PYTHON } from '../support/python.js';

const TESTS = join(PACKAGE_ROOT, 'python', 'tests', 'with_platform');
const PYTHON_PATH = [join(PACKAGE_ROOT, 'python'), TESTS].join(delimiter);
const ENV = { PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: PYTHON_PATH };
const TASKS = 3000;

describe('The Python client and a platform of which parts go away', function () {
  this.timeout(90_000);
  let platform: SpecPlatform;
  before(async () => {
    platform = await startPlatform({ env: ENV });
  });
  after(() => platform.stop());

  /** Runs the program; tells each of its lines as it comes, and returns them. */
  async function runProgram(name: string, args: string[], onLine: (line: string) => void): Promise<string[]> {
    const program = spawn(PYTHON, [join(TESTS, 'programs', name), ...args], {
      env: { ...process.env, ...ENV, MPCSFAAS_URL: platform.apiUrl },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    createInterface({ input: program.stdout }).on('line', (line) => {
      lines.push(line);
      onLine(line);
    });
    const [code] = (await once(program, 'close')) as [number];
    expect(code).to.equal(0);
    return lines;
  }

  it('repeats submissions and resumes results when it was killed and stopped in the midst', async () => {
    let restarts = Promise.resolve();
    let count = 0;
    const lines = await runProgram('restarts.py', ['60'], (line) => {
      if (line === '300' || line === '1500') {
        count++;
        restarts = restarts.then(async () => {
          if (line === '300') await platform.api.kill('SIGKILL');
          await platform.api.restart();
        });
      }
    });
    await restarts;
    expect(count).to.equal(2);
    expect(lines).to.include(`failed 0 wrong 0 distinct ${TASKS}`);
    expect(lines.at(-1)).to.equal('over');
    await eventually(`${TASKS} tasks completed`, () => completed() >= TASKS);
    expect(completed()).to.equal(TASKS);
  });

  it('fails the futures in words when it stays away for longer than the timeout, and the executor can be shut down', async () => {
    let killed = Promise.resolve();
    const lines = await runProgram('restarts.py', ['1'], (line) => {
      if (line === '300') killed = platform.api.kill('SIGKILL');
    });
    await killed;
    expect(lines.find((line) => line.startsWith('PlatformUnreachable'))).to.contain(platform.apiUrl);
    expect(lines.at(-1)).to.equal('over');
    expect(lines.find((line) => line.startsWith('failed'))).to.match(/^failed [1-9]\d* wrong 0 /);
    await platform.api.restart();
  });

  it('goes on with what a task prints over an API that is stopped, and one that is killed', async () => {
    let restarts = Promise.resolve();
    const lines = await runProgram('follows.py', [], (line) => {
      if (line === '3') restarts = restarts.then(() => platform.api.restart());
      if (line === '12') {
        restarts = restarts.then(async () => {
          await platform.api.kill('SIGKILL');
          await platform.api.restart();
        });
      }
    });
    await restarts;
    expect(lines.at(-1)).to.equal('came 41 same True COMPLETED');
  });

  it('says which worker was lost with a task that may not be tried again', async () => {
    let killed = Promise.resolve();
    const lines = await runProgram('loses_worker.py', [], (line) => {
      if (line === 'running') killed = platform.workers[0]!.kill('SIGKILL');
    });
    await killed;
    expect(lines.at(-1)).to.match(/^1 True .*worker .* was lost/);
    // It removes what the one that was killed has left.
    await platform.workers[0]!.restart();
  });

  /** How many tasks have been completed; the same work accepted twice would count twice. */
  const completed = (): number => platform.dispatcher.log().split('"to":"completed"').length - 1;
});
