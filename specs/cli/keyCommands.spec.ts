import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAIN } from '../../cli/actorProcess.js';
import { type SpecServer, startRedis } from '../support/servers.js';

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** As whoever runs the platform calls it: with Redis alone. */
describe('mpcsfaas key', function () {
  this.timeout(120_000);
  let redis: SpecServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.stop());

  const call = (args: string[], url = redis.url): Promise<Ended> =>
    new Promise((resolve) => {
      const env = { ...process.env, REDIS_URL: url };
      execFile(process.execPath, [MAIN, 'key', ...args], { env, timeout: 30_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });

  it('prints a new key once, and lists and revokes it by its id', async () => {
    const asked = ['--tenant', 'team-a', '--scope', 'submit', '--scope', 'read', '--expires', '30d', '--name', 'ci'];
    const made = await call(['create', ...asked]);
    expect(made).to.include({ code: 0 });
    expect(made.stdout).to.match(/^mpcs_[0-9a-f]{12}_[0-9a-f]{40}\n$/);
    const [, id = '', secret = ''] = made.stdout.trim().split('_');
    expect(made.stderr).to.contain(`mpcsfaas key revoke ${id}`).and.not.contain(secret);
    const listed = await call(['list']);
    expect(listed.stdout)
      .to.match(/^KEY +STATE/)
      .and.match(new RegExp(`${id} +valid +team-a +submit,read .*ci`));
    expect(listed.stdout).to.not.contain(secret);
    expect(await call(['revoke', id])).to.deep.equal({ code: 0, stdout: `${id} is revoked.\n`, stderr: '' });
    const [line] = (await call(['list', '--json'])).stdout.split('\n');
    expect(JSON.parse(line!)).to.include({ key_id: id, state: 'revoked', tenant: 'team-a' });
  });

  it('writes a key into a file that nobody else can read, and over none', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'key-'));
    const file = join(directory, 'key');
    try {
      const made = await call(['create', '--scope', 'read', '--out', file]);
      expect(made).to.include({ code: 0, stdout: '' });
      expect(readFileSync(file, 'utf8')).to.match(/^mpcs_[0-9a-f]{12}_[0-9a-f]{40}\n$/);
      expect(statSync(file).mode & 0o777).to.equal(0o600);
      const count = (await call(['list'])).stdout.split('\n').length;
      const again = await call(['create', '--scope', 'read', '--out', file]);
      expect(again.code).to.equal(2);
      expect(again.stderr).to.contain('there is such a file already');
      expect((await call(['list'])).stdout.split('\n').length).to.equal(count);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('says what is wrong, and repeats no key that was given for an id', async () => {
    expect((await call(['create', '--scope', 'root'])).stderr).to.contain('`scopes` may have submit, read');
    expect((await call(['create', '--scope', 'read', '--tenant', 'A B'])).stderr).to.contain('`tenant`');
    expect((await call(['create', '--scope', 'read', '--expires', 'soon'])).stderr).to.contain('12h or 30d');
    expect(await call(['create'])).to.include({ code: 2 });
    const key = (await call(['create', '--scope', 'read'])).stdout.trim();
    const refused = await call(['revoke', key]);
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.contain('no such key').and.not.contain(key);
  });

  it('says that Redis does not answer, without its password', async () => {
    const ended = await call(['list'], 'redis://someone:secret-word@127.0.0.1:1');
    expect(ended.code).to.equal(3);
    expect(ended.stderr).to.contain('Redis does not answer').and.not.contain('secret-word');
  });
});
