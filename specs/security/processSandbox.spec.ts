import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { isRoot } from '../../workers/sandbox/sandboxUser.js';
import { eventually, PoolFixture } from '../workers/support/poolFixture.js';
import { PYTHON, PythonClient } from '../workers/support/pythonClient.js';

const SYSTEM_PYTHON = '/usr/bin/python3';
const temporaryFolders = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('mpcsfaas-tmp-'));
const lines = (...body: string[]): string => `def f():\n${body.map((line) => `    ${line}\n`).join('')}`;

describe('A function in the sandbox `process`', () => {
  let client: PythonClient;
  const pools: PoolFixture[] = [];
  const folders: string[] = [];

  before(() => (client = new PythonClient()));
  afterEach(() => Promise.all(pools.splice(0).map(({ pool }) => pool.stop(0))));
  after(() => {
    client.close();
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  function newFolder(name: string): string {
    const folder = mkdtempSync(join(tmpdir(), name));
    folders.push(folder);
    return folder;
  }

  async function start(options: ConstructorParameters<typeof PoolFixture>[1] = {}): Promise<PoolFixture> {
    const fixture = new PoolFixture(client, { slots: 1, ...options });
    pools.push(fixture);
    await fixture.pool.start();
    return fixture;
  }

  it('sees no variable but those that Python needs and those that were handed on', async () => {
    const secrets = {
      REDIS_URL: 'redis://:secret@h',
      AWS_SECRET_ACCESS_KEY: 'secret',
      API_TOKEN: 'secret',
      NATS_URL: 'secret',
    };
    const environment = {
      PATH: process.env['PATH'],
      LANG: 'C.UTF-8',
      LC_TIME: 'C',
      OMP_NUM_THREADS: '2',
      OWN: 'seen',
      ...secrets,
    };
    const fixture = await start({ environment, sandbox: { environment: ['OWN', 'SET=a=b', 'ABSENT'] } });
    const own = lines(
      'import os',
      'raw = open("/proc/self/environ").read()',
      'return "secret" in raw or "secret" in str(os.environ), sorted(os.environ), os.environ["SET"]',
    );
    // MPCSFAAS_PROCESS says nothing: by it what a crashed task leaves behind is found.
    expect(await fixture.value(own)).to.equal(
      "(False, ['LANG', 'LC_TIME', 'MPCSFAAS_PROCESS', 'OMP_NUM_THREADS', 'OWN', 'PATH', 'SET', 'TMPDIR'], 'a=b')",
    );
  });

  it('gets no descriptor that the worker has leaked', async () => {
    // Node closes its own; a native library, or the shell that started the worker, may leave one open.
    const folder = newFolder('leak-');
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'secret');
    const python = join(folder, 'python');
    writeFileSync(python, `#!/bin/sh\nexec 7<${secret} 9>>${secret} ${PYTHON} "$@"\n`);
    chmodSync(python, 0o755);
    const open = lines(
      'import os',
      'return sorted(os.readlink("/proc/self/fd/" + n) for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n))',
    );
    const told = async (kind: 'none' | 'process'): Promise<string> =>
      (await start({ python, sandbox: { kind } })).value(open);
    expect(await told('none')).to.contain(secret);
    const descriptors = await told('process');
    expect(descriptors).not.to.contain(secret);
  });

  it('has a temporary folder of its own, which is removed with all that is in it', async () => {
    const fixture = await start({ slots: 2 });
    const before = temporaryFolders();
    const fill = lines(
      'import os, tempfile, time',
      'inner = tempfile.mkdtemp()',
      'open(os.path.join(inner, "file"), "w").write("x")',
      'os.symlink("/etc", os.path.join(inner, "link"))',
      'os.chmod(inner, 0)',
      'time.sleep(0.2)',
      'return tempfile.gettempdir(), oct(os.stat(tempfile.gettempdir()).st_mode & 0o777)',
    );
    const order = await fixture.order(fill);
    const results = await fixture.runAll([order, { ...order, taskId: 'another' }]);
    const told = await Promise.all(results.map(async ({ payload }) => (await client.load(payload)).repr));
    const used = told.map((text) => /'(\/.*?)', '0o700'/.exec(text)?.[1] ?? text);
    expect(new Set(used).size).to.equal(2);
    expect(used.every(existsSync)).to.equal(true);
    await fixture.call(lines('import os', 'os._exit(1)'));
    await eventually(() => used.filter(existsSync).length === 1, 3_000);
    await fixture.pool.stop(0);
    expect(temporaryFolders().filter((name) => before.includes(name))).to.deep.equal([]);
    expect(existsSync('/etc/passwd')).to.equal(true);
  });

  it('leaves no temporary folder behind for longer than until the next start, though the worker was killed', async () => {
    const folder = newFolder('killed-');
    const script = join(folder, 'supervisor.mjs');
    const pool = new URL('../../workers/pythonPool.js', import.meta.url).href;
    writeFileSync(
      script,
      `import { PythonPool } from ${JSON.stringify(pool)};
const pool = new PythonPool({ python: ${JSON.stringify(PYTHON)}, slots: 1, sandbox: { ${isRoot() ? "user: 'root', " : ''}environment: ['MPCSFAAS_SPEC_RUN'] } });
await pool.start();
console.log('ready');
setInterval(() => undefined, 1000);`,
    );
    const supervisor = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => supervisor.stdout.once('data', resolve));
    const left = (): string[] => temporaryFolders().filter((name) => name.includes(`-${supervisor.pid}-`));
    expect(left()).to.have.length(1);
    const ended = new Promise((resolve) => supervisor.once('exit', resolve));
    supervisor.kill('SIGKILL');
    await ended;
    expect(left()).to.have.length(1);
    await start();
    await eventually(() => left().length === 0, 3_000);
  });

  it('meets its limits of open files, file size, memory and CPU time, and the next task is right', async () => {
    const limits = { maxOpenFiles: 200, maxFileBytes: 1 << 20, maxCpuSeconds: 1 };
    const fixture = await start({ maxMemoryBytes: 512 << 20, sandbox: limits });
    const failure = async (...body: string[]): Promise<string> => {
      const { failure: told } = await fixture.call(lines(...body), '((), {})', 20_000);
      expect(await fixture.value('def f():\n    return 7')).to.equal('7');
      return `${told?.type} ${told?.exception ?? ''} ${told?.message}`;
    };
    expect(await failure('import os', 'kept = [open(os.devnull) for _ in range(300)]')).to.match(
      /^UserException OSError .*Too many open files/,
    );
    expect(
      await failure(
        'import tempfile',
        'with tempfile.TemporaryFile() as file:',
        '    for _ in range(40): file.write(bytes(1 << 16))',
      ),
    ).to.match(/^UserException OSError .*File too large/);
    expect(await failure('return len(bytes(1 << 30))')).to.match(/^MemoryLimit/);
    expect(await failure('while True: pass')).to.match(/^Timeout .*more CPU time than/);
    const raised = lines('import resource', 'resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))');
    if (!isRoot()) expect((await fixture.call(raised)).outcome).to.equal('failed');
    // A CPU limit counts for each task anew.
    const busy = lines(
      'import time',
      'end = time.process_time() + 0.7',
      'while time.process_time() < end: pass',
      'import os',
      'return os.getpid()',
    );
    expect(await fixture.value(busy)).to.equal(await fixture.value(busy));
  }).timeout(30_000);

  describe('of a worker that runs as root', function () {
    let python: string;

    before(function () {
      // Another user needs a Python that lies where it can be reached, and the package as well.
      if (!isRoot() || !existsSync(SYSTEM_PYTHON)) return this.skip();
      const folder = newFolder('reachable-');
      chmodSync(folder, 0o755);
      const dill = execFileSync(PYTHON, ['-c', 'import dill; print(dill.__file__)'], { encoding: 'utf8' }).trim();
      mkdirSync(join(folder, 'packages'));
      cpSync(dirname(dill), join(folder, 'packages', 'dill'), { recursive: true });
      execFileSync('chmod', ['-R', 'a+rX', folder]);
      python = join(folder, 'python');
      writeFileSync(python, `#!/bin/sh\nPYTHONPATH=${folder}/packages exec ${SYSTEM_PYTHON} "$@"\n`);
      chmodSync(python, 0o755);
    });

    it("runs as nobody, who may not signal the worker, read root's files or have more processes than allowed", async function () {
      this.timeout(20_000);
      const fixture = await start({ python, sandbox: { user: 'nobody', maxProcesses: 16 } }).catch((error: unknown) => {
        // A checkout below root's home is out of nobody's reach: then there is nothing to try.
        if (String(error).includes('cannot run functions')) this.skip();
        throw error;
      });
      const who = lines(
        'import os, tempfile',
        'tempfile.TemporaryFile().write(b"x")',
        'tried = []',
        `for act in (lambda: os.kill(${process.pid}, 0), lambda: open("/etc/shadow"), lambda: open("/proc/${process.pid}/environ").read(), lambda: os.setuid(0)):`,
        '    try:',
        '        act()',
        '        tried.append("did")',
        '    except PermissionError:',
        '        tried.append("refused")',
        'return os.getuid(), os.getgroups(), tried, os.environ["HOME"] == os.environ["TMPDIR"]',
      );
      expect(await fixture.value(who)).to.match(
        /^\(65534, \[\], \['refused', 'refused', 'refused', 'refused'\], True\)$/,
      );
      const many = lines(
        'import subprocess',
        'kept = []',
        'try:',
        '    for _ in range(100): kept.append(subprocess.Popen(["sleep", "60"]))',
        'except OSError as error:',
        '    return error.errno, 10 <= len(kept) <= 40',
        'finally:',
        '    for process in kept: process.kill(); process.wait()',
      );
      expect(await fixture.value(many)).to.equal('(11, True)');
      expect(await fixture.value('def f():\n    return 7')).to.equal('7');
      await fixture.pool.stop(0);
    });

    it("stays root's with a warning where nobody cannot run Python, unless a user was named: then the worker refuses", async () => {
      const hidden = newFolder('hidden-');
      const unreachable = join(hidden, 'python');
      writeFileSync(unreachable, `#!/bin/sh\nexec ${PYTHON} "$@"\n`);
      chmodSync(unreachable, 0o755);
      const warned = new PoolFixture(client, { slots: 1, python: unreachable, sandbox: { user: undefined } as never });
      pools.push(warned);
      await warned.pool.start();
      expect(warned.events.map((event) => (event.type === 'weakened' ? event.message : '')).join('')).to.contain(
        'functions run as root, since nobody cannot',
      );
      expect(await warned.value(lines('import os', 'return os.getuid()'))).to.equal('0');
      const refused = new PoolFixture(client, { slots: 1, python: unreachable, sandbox: { user: 'nobody' } });
      const error = await refused.pool.start().then(() => undefined, String);
      expect(error).to.contain('SANDBOX_USER=nobody cannot run functions: it cannot start');
      const unknown = new PoolFixture(client, { slots: 1, sandbox: { user: 'no-such-user' } });
      expect(await unknown.pool.start().then(() => undefined, String)).to.contain('there is no such user');
      expect(temporaryFolders().filter((name) => name.includes(`-${process.pid}-`))).to.have.length(1);
    });
  });
});
