import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PYTHON } from '../support/python.js';

const EXAMPLES = join(PACKAGE_ROOT, 'python', 'examples');

describe('Programs written for ProcessPoolExecutor', function () {
  this.timeout(120_000);
  let platform: SpecPlatform;
  before(async () => {
    platform = await startPlatform({ env: { PYTHONDONTWRITEBYTECODE: '1' } });
  });
  after(() => platform.stop());

  const run = async (...command: string[]): Promise<string> => {
    const env = { ...process.env, PYTHONPATH: join(PACKAGE_ROOT, 'python'), MPCSFAAS_URL: platform.apiUrl };
    const { stdout } = await promisify(execFile)(PYTHON, ['-B', ...command], { cwd: EXAMPLES, env });
    return stdout;
  };

  for (const program of readdirSync(EXAMPLES).filter((name) => name.endsWith('.py'))) {
    it(`${program} prints the same on the platform as with the standard library`, async () => {
      const expected = await run(program, '--local');
      const before = tasksRun(platform);
      expect(await run(program))
        .to.equal(expected)
        .and.to.have.lengthOf.above(20);
      expect(tasksRun(platform)).to.be.above(before);
    });
  }
});

/** How many tasks the workers have completed, by their logs: so that a program cannot pass without having used them. */
function tasksRun(platform: SpecPlatform): number {
  return platform.dispatcher.log().split('"completed"').length;
}
