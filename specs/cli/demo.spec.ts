import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { MAIN } from '../../cli/actorProcess.js';

describe('mpcsfaas demo', function () {
  this.timeout(120_000);

  it('does real work, shows failures as their callers see them, and leaves nothing', async () => {
    const env = { ...process.env, MODE: 'pull' };
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, 'demo'], { env });
    expect(stdout).to.match(/300\/300 .*\n +[\d,]+ words in 300 files/);
    expect(stdout).to.include('148,933 primes below 2,000,000');
    expect(stdout).to.include('ZeroDivisionError: division by zero');
    expect(stdout).to.match(/task\.claimed +-> running +attempt 3/);
    expect(stdout).to.include('All answers were right.');
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('mpcsfaas-demo-'))).to.deep.equal([]);
  });
});
