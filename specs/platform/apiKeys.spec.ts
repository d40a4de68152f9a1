import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAIN } from '../../cli/actorProcess.js';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { firstFunction } from '../../cli/up.js';
import { eventually } from '../support/eventually.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PYTHON } from '../support/python.js';

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

const PROGRAM = `
import mpcsfaas
from concurrent.futures import wait
with mpcsfaas.Executor(timeout=5) as executor:
    print(executor.submit(pow, 2, 5).result(), sum(executor.map(abs, range(100))))
    future = executor.submit(pow, 2, 5)
    try:
        print(future.result())
    except mpcsfaas.NotAuthorized as error:
        print(error)
with mpcsfaas.Client(timeout=5) as client:
    try:
        client.workers()
    except PermissionError as error:
        print("workers:", error.status)
`;

/** What is left for those who know nothing of keys, and for a script of the course. */
const COURSE_PROGRAM = `
import json, urllib.request, urllib.error
try:
    urllib.request.urlopen(urllib.request.Request("URL/register_function", b"{}", {"content-type": "application/json"}))
except urllib.error.HTTPError as error:
    print(error.code, json.load(error)["remedy"])
`;

describe('A platform that asks for API keys', function () {
  this.timeout(120_000);
  let platform: SpecPlatform;
  let directory: string;
  let key: string;

  before(async () => {
    platform = await startPlatform({ env: { API_KEYS: 'required', LOG_LEVEL: 'debug' } });
    directory = mkdtempSync(join(tmpdir(), 'keys-'));
    key = (await mpcsfaas('key', 'create', '--scope', 'submit', '--scope', 'read')).stdout.trim();
    expect(key).to.match(/^mpcs_/);
  });
  after(async () => {
    await platform.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const run = (command: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
    new Promise((resolve) => {
      const all = {
        ...process.env,
        PYTHON,
        MPCSFAAS_URL: platform.apiUrl,
        REDIS_URL: platform.redis.url,
        DATA_DIR: platform.dataDir,
        ...env,
      };
      execFile(command, args, { env: all, timeout: 40_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  const mpcsfaas = (...args: string[]): Promise<Ended> => run(process.execPath, [MAIN, ...args]);
  const python = (program: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
    run(PYTHON, ['-c', program.replace('URL', platform.apiUrl)], { PYTHONPATH: join(PACKAGE_ROOT, 'python'), ...env });
  const withKey = (one: string) => ({ headers: { authorization: `Bearer ${one}`, connection: 'close' } });

  it('serves the Python client that has one in its environment, for what it is good for', async () => {
    const { stdout, stderr } = await python(PROGRAM, { MPCSFAAS_API_KEY: key });
    expect(stderr).to.equal('');
    expect(stdout).to.equal('32 4950\n32\nworkers: 403\n');
  });

  it('refuses the Python client without one, at its first submission, and says what to do', async () => {
    const { stderr } = await python(PROGRAM);
    expect(stderr).to.contain('NotAuthorized').and.contain('MPCSFAAS_API_KEY');
  });

  it('tells a client of the course what it lacks', async () => {
    expect((await python(COURSE_PROGRAM)).stdout).to.match(/^401 .*Authorization: Bearer .*mpcsfaas key create/);
  });

  it('serves the command line with a key from a file or the environment', async () => {
    const file = join(directory, 'my.key');
    writeFileSync(file, `${key}\n`, { mode: 0o600 });
    const functions = join(directory, 'functions.py');
    writeFileSync(functions, 'def double(x):\n    return 2 * x\n');
    const ran = await mpcsfaas('run', `${functions}:double`, '--args', '[21]', '--key-file', file);
    expect(ran).to.include({ code: 0, stdout: '42\n' });
    const listed = await run(process.execPath, [MAIN, 'tasks'], { MPCSFAAS_API_KEY: key });
    expect(listed.stdout).to.contain('double');
    const refused = await mpcsfaas('workers', '--key-file', file);
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.contain('`operate`');
    const without = await mpcsfaas('tasks');
    expect(without.stderr).to.contain('mpcsfaas key create');
    expect((await mpcsfaas('tasks', '--key-file', functions)).stderr)
      .to.contain('one word')
      .and.not.contain('double');
    expect((await mpcsfaas('tasks', '--key-file', join(directory, 'none'))).stderr).to.contain('cannot be read');
  });

  it('is what `up` has a line for', async () => {
    const line = firstFunction(PYTHON, platform.apiUrl, true);
    const ended = await run('bash', ['-c', line], { MPCSFAAS_API_KEY: key });
    expect(ended.stdout).to.equal('7 squared is 49\n');
  });

  it('refuses a key that `mpcsfaas key revoke` has revoked, without NATS', async () => {
    const other = (await mpcsfaas('key', 'create', '--scope', 'read')).stdout.trim();
    const url = `${platform.apiUrl}/tasks`;
    await eventually('it is accepted', async () => (await fetch(url, withKey(other))).status === 200);
    await platform.nats.kill('SIGKILL');
    try {
      expect((await mpcsfaas('key', 'revoke', other.split('_')[1]!)).code).to.equal(0);
      const revokedAtMs = performance.now();
      await eventually('it is refused', async () => (await fetch(url, withKey(other))).status === 401);
      // The bound is 100 ms; the rest is for a busy machine.
      expect(performance.now() - revokedAtMs).to.be.lessThan(2_000);
    } finally {
      await platform.nats.restart();
    }
  });

  it('writes down who did what, for its owner alone', async () => {
    const file = join(platform.dataDir, 'logs', 'audit.log');
    const lines = () =>
      readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    const id = key.split('_')[1]!;
    await eventually('it has the submissions', () => lines().some((line) => line['action'] === 'tasks.submit'));
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    expect(lines().find((line) => line['action'] === 'tasks.submit')).to.include({ key: id, outcome: 'done' });
    const revoked = lines().find((line) => line['action'] === 'key.revoke');
    expect(String(revoked!['by'])).to.contain('on the command line');
    expect(readFileSync(file, 'utf8')).to.not.contain(key.split('_')[2]);
  });

  it('has no key in its logs or in Redis', async () => {
    const secret = key.split('_')[2]!;
    for (const actor of [platform.api, platform.dispatcher, platform.monitor, ...platform.workers]) {
      expect(actor.log(), actor.name).to.not.contain(secret);
    }
    const files = readdirSync(platform.redis.directory, { recursive: true, withFileTypes: true });
    const data = files.filter((file) => file.isFile()).map((file) => readFileSync(join(file.parentPath, file.name)));
    expect(data.length).to.be.greaterThan(0);
    expect(data.some((bytes) => bytes.includes(secret))).to.equal(false);
    expect(data.some((bytes) => bytes.includes(key.split('_')[1]!))).to.equal(true);
  });
});
