import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { ControlGroups } from '../../workers/sandbox/controlGroups.js';
import { findProgram } from '../../workers/sandbox/runtimePaths.js';
import { children } from '../../workers/processGroup.js';
import { eventually, openDescriptors, PoolFixture, sleep } from '../workers/support/poolFixture.js';
import { PythonClient } from '../workers/support/pythonClient.js';
import { temporaryRoot } from '../support/specEnvironment.js';

const MEBIBYTE = 1024 ** 2;
/** Bombs are let off within these alone, on a machine that others use as well. */
const LIMITS = { maxMemoryBytes: 256 * MEBIBYTE, sandbox: { maxProcesses: 64, temporaryBytes: 16 * MEBIBYTE } };
const lines = (...body: string[]): string => `def f():\n${body.map((line) => `    ${line}\n`).join('')}`;
const SEVEN = 'def f():\n    return 7';

describe('A function in the sandbox `bubblewrap`', function () {
  this.timeout(20_000);
  let client: PythonClient;
  let fixture: PoolFixture;
  let redis: Server;
  let port: number;
  let directory: string;

  before(async function () {
    // `make test` has tried to install it, and said why it could not.
    if (findProgram('bwrap', process.env['PATH']) === undefined) return this.skip();
    client = new PythonClient();
    directory = join(temporaryRoot, 'worker');
    mkdirSync(join(directory, 'data'), { recursive: true });
    writeFileSync(join(directory, 'data', 'redis.aof'), 'secret');
    writeFileSync(join(directory, 'module_of_worker.py'), 'ANSWER = 42\n');
    writeFileSync(join(temporaryRoot, 'another-task'), 'secret');
    redis = createServer((socket) => socket.end('reached'));
    await new Promise<void>((resolve) => redis.listen(0, '127.0.0.1', resolve));
    port = (redis.address() as { port: number }).port;
    fixture = await start();
  });

  after(async () => {
    if (client === undefined) return;
    await fixture.pool.stop(0);
    client.close();
    redis.close();
    rmSync(directory, { recursive: true });
    rmSync(join(temporaryRoot, 'another-task'));
  });

  async function start(options: ConstructorParameters<typeof PoolFixture>[1] = {}): Promise<PoolFixture> {
    const environment = { ...process.env, REDIS_URL: 'redis://:secret@127.0.0.1', API_TOKEN: 'secret' };
    const made = new PoolFixture(client, {
      ...{ slots: 1, cwd: directory, environment, ...LIMITS, ...options },
      sandbox: {
        kind: 'bubblewrap',
        user: 'nobody',
        hidden: [join(directory, 'data')],
        ...LIMITS.sandbox,
        ...options.sandbox,
      },
    });
    await made.pool.start();
    return made;
  }

  /** What becomes of a task, and that the next one is right. */
  async function outcome(...body: string[]): Promise<string> {
    const { outcome: how, failure, payload } = await fixture.call(lines(...body), '((), {})', 15_000);
    expect(await fixture.value(SEVEN)).to.equal('7');
    return how === 'completed'
      ? (await client.load(payload)).repr
      : `${failure?.type} ${failure?.exception ?? ''} ${failure?.message}`;
  }

  it("imports what the worker's directory and Python have, and prints", async () => {
    const source = lines(
      'import module_of_worker, subprocess, sys',
      'subprocess.run(["echo", "printed"])',
      'return module_of_worker.ANSWER',
    );
    const result = await fixture.call(source);
    expect((await client.load(result.payload)).repr).to.equal('42');
    expect(result.output.toString()).to.contain('printed');
  });

  it('cannot read files of others: those of other tasks, of the platform and of users are not there', async () => {
    const paths = [
      join(temporaryRoot, 'another-task'),
      join(directory, 'data', 'redis.aof'),
      '/etc/shadow',
      '/root/.bashrc',
      '/var/log',
      '/run',
      '/home',
      '/proc/1/root',
    ];
    const told = await outcome(
      'import os, tempfile',
      'tried = []',
      `for path in ${JSON.stringify(paths)}:`,
      '    try:',
      '        tried.append(os.listdir(path) if os.path.isdir(path) else open(path).read())',
      '    except OSError as error:',
      '        tried.append(error.errno)',
      'return tried',
    );
    // No such file, or no permission.
    expect(JSON.parse(told)).to.satisfy((tried: unknown[]) => tried.every((one) => one === 2 || one === 13));
    const found = lines(
      'import os',
      'return os.listdir("/tmp"), os.listdir("/dev/shm"), len(open("/tmp/left", "w").name)',
    );
    expect(await fixture.value(found)).to.match(/, \[\], 9\)$/);
    expect(await fixture.value(found), 'what the task before it has left').to.match(/^\((?!.*left).*, \[\], 9\)$/);
  });

  it('cannot write anywhere but to /tmp, which is its own, and bounded', async () => {
    const denied = await outcome(
      'import os',
      'tried = []',
      `for path in ("/x", "/usr/x", "/etc/x", "/dev/x", "/tmp/../x", ${JSON.stringify(join(directory, 'x'))}):`,
      '    try:',
      '        open(path, "w")',
      '        tried.append(path)',
      '    except OSError:',
      '        pass',
      'return tried',
    );
    expect(denied).to.equal('[]');
    for (const folder of ['/tmp', '/dev/shm']) {
      const filled = await outcome(
        `file = open("${folder}/filler", "wb")`,
        'for _ in range(64):',
        '    file.write(bytes(1 << 20))',
        '    file.flush()',
      );
      expect(filled).to.match(/^UserException OSError .*No space left/);
    }
  });

  it("does not see the platform's environment or processes", async () => {
    const seen = await outcome(
      'import os, glob',
      'texts = []',
      'for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):',
      '    try:',
      '        texts.append(open(path).read())',
      '    except OSError:',
      '        pass',
      'numbers = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())',
      'return any("secret" in text for text in texts), "secret" in str(os.environ), numbers, len(texts) > 0',
    );
    expect(seen).to.equal('(False, False, [1, 2], True)');
  });

  it("reaches no network: not this machine's servers, nor their sockets, nor others", async () => {
    const connect = [
      'import socket',
      'tried = []',
      `for address in (("127.0.0.1", ${port}), ("1.1.1.1", 53)):`,
      '    try:',
      '        tried.append(socket.create_connection(address, timeout=2).recv(100))',
      '    except OSError as error:',
      '        tried.append(type(error).__name__)',
      'return tried',
    ];
    expect(await outcome(...connect)).to.match(/^\['ConnectionRefusedError', '\w*Error'\]$/);
    const open = await start({ sandbox: { network: true } });
    expect(await open.value(lines(...connect.map((line) => line.replace(', ("1.1.1.1", 53)', ','))))).to.equal(
      "[b'reached']",
    );
    await open.pool.stop(0);
  });

  it('can neither trace nor signal a process that is not its own, nor gain rights', async () => {
    const tried = await outcome(
      'import ctypes, os, signal',
      'libc = ctypes.CDLL(None, use_errno=True)',
      'tried = []',
      `for pid in (${process.pid}, ${process.ppid}):`,
      '    try:',
      '        os.kill(pid, 0)',
      '        tried.append("signalled")',
      '    except OSError as error:',
      '        tried.append(error.errno)',
      `tried.append(libc.ptrace(16, ${process.pid}, 0, 0))`,
      'tried.append(libc.mount(b"none", b"/tmp", b"tmpfs", 0, 0))',
      'tried.append(libc.unshare(0x20000))',
      'try:',
      '    os.setuid(0)',
      'except OSError:',
      '    tried.append("no root")',
      'status = open("/proc/self/status").read()',
      'return tried, os.getuid() != 0, [line.split()[1] for line in status.splitlines() if line.startswith(("CapEff", "NoNewPrivs"))]',
    );
    expect(tried).to.match(/^\(\[3, 3, -1, -1, -1, 'no root'\], (True|False), \['0000000000000000', '1'\]\)$/);
  });

  it('ends alone with a fork bomb', async function () {
    if (withoutGroup('pids')) this.skip();
    const bomb = await outcome(
      'import os, time',
      'end = time.monotonic() + 3',
      'made = 0',
      'while time.monotonic() < end:',
      '    try:',
      '        if os.fork() == 0:',
      '            time.sleep(60)',
      '        made += 1',
      '    except OSError as error:',
      '        return error.errno, 40 <= made <= 64',
    );
    expect(bomb).to.equal('(11, True)');
  });

  it('ends alone with a memory bomb, whether in its own process or in many', async function () {
    expect(await outcome('return len(bytes(1 << 30))')).to.match(/^MemoryLimit/);
    if (withoutGroup('memory')) this.skip();
    const many = await outcome(
      'import os, time',
      'for _ in range(8):',
      '    if os.fork() == 0:',
      '        kept = bytearray(60 << 20)',
      '        time.sleep(10)',
      '        os._exit(0)',
      'kept = bytearray(100 << 20)',
      'ended = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(8)]',
      'return -9 in ended',
    );
    expect(many).to.satisfy((text: string) => text === 'True' || text.startsWith('MemoryLimit'));
  });

  it('leaves nothing behind when it crashes, is aborted, or runs too long: the namespace ends whole', async () => {
    const orphan = 'subprocess.Popen(["setsid", "sleep", "61.25"])';
    const crashed = await fixture.call(
      lines('import os, subprocess, signal', orphan, 'os.kill(os.getpid(), signal.SIGSEGV)'),
    );
    expect(crashed.outcome).to.equal('interrupted');
    expect(crashed.failure?.signal).to.equal('SIGSEGV');
    expect(crashed.failure?.traceback).to.contain('Fatal Python error');
    const late = await fixture.call(
      lines('import subprocess, time', 'print("begun", flush=True)', orphan, 'time.sleep(60)'),
      '((), {})',
      300,
    );
    expect(late.failure?.type).to.equal('Timeout');
    expect(late.output.toString()).to.contain('begun');
    const order = await fixture.order(
      lines(
        'import subprocess, signal, time',
        'signal.signal(signal.SIGTERM, signal.SIG_IGN)',
        orphan,
        'time.sleep(60)',
      ),
    );
    fixture.pool.run([order]);
    await eventually(() => sleepers() > 0, 5_000);
    fixture.pool.abort(order);
    await eventually(() => sleepers() === 0, 5_000);
    expect(await fixture.value(SEVEN)).to.equal('7');
  });

  it('has time to end in order when it is told to', async () => {
    const order = await fixture.order(
      lines(
        'import os, signal, time',
        'def bye(*_):',
        '    print("in order", flush=True)',
        '    os._exit(1)',
        'signal.signal(signal.SIGTERM, bye)',
        'time.sleep(60)',
      ),
    );
    const aborted = new Promise<string>(
      (resolve) => (fixture.pool.onAborted = (_, output) => resolve(output.toString())),
    );
    fixture.pool.run([order]);
    await sleep(500);
    fixture.pool.abort(order);
    expect(await aborted).to.contain('in order');
  });

  it('ends with its worker, whatever ends that', async () => {
    const folder = join(temporaryRoot, 'killed');
    mkdirSync(folder);
    const script = join(folder, 'supervisor.mjs');
    const pool = new URL('../../workers/pythonPool.js', import.meta.url).href;
    writeFileSync(
      script,
      `import { PythonPool } from ${JSON.stringify(pool)};
const pool = new PythonPool({ python: process.env.PYTHON, slots: 2, sandbox: { kind: 'bubblewrap', environment: ['MPCSFAAS_SPEC_RUN'] } });
await pool.start();
console.log('ready');
setInterval(() => undefined, 1000);`,
    );
    const supervisor = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => supervisor.stdout.once('data', resolve));
    const inside = children(supervisor.pid!).flatMap(children).flatMap(children);
    expect(inside).to.have.length(2);
    supervisor.kill('SIGKILL');
    await eventually(() => inside.every((pid) => !existsSync(`/proc/${pid}`)), 3_000);
    rmSync(folder, { recursive: true });
  });

  it('leaves no process, descriptor, file or cgroup when its pool ends', async () => {
    const childrenBefore = children(process.pid);
    const opened = openDescriptors();
    const probe = ControlGroups.open();
    const groupsLeft = (): number =>
      probe.folders
        .flatMap((folder) => readdirSync(dirname(folder)))
        .filter((name) => name.startsWith(`mpcsfaas-${process.pid}-`)).length;
    const groupsBefore = groupsLeft();
    const own = await start({ slots: 2 });
    await own.call(SEVEN);
    await own.pool.stop(0);
    expect(children(process.pid)).to.deep.equal(childrenBefore);
    await eventually(() => groupsLeft() === groupsBefore, 2_000);
    probe.close();
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('mpcsfaas-tmp-'))).to.deep.equal([]);
    await eventually(() => openDescriptors() <= opened, 500);
  });

  it('is refused, with the reason, where it cannot be had', async () => {
    const refusal = async (options: ConstructorParameters<typeof PoolFixture>[1]): Promise<string> => {
      const made = new PoolFixture(client, {
        slots: 1,
        ...options,
        sandbox: { kind: 'bubblewrap', ...options?.sandbox },
      });
      return made.pool.start().then(async () => {
        await made.pool.stop(0);
        return 'started';
      }, String);
    };
    // A bwrap such as a kernel or a container that refuses namespaces makes of it.
    const folder = join(temporaryRoot, 'refusing');
    mkdirSync(folder);
    const real = findProgram('bwrap', process.env['PATH']);
    const stub = (body: string): void => writeFileSync(join(folder, 'bwrap'), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    const environment = { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}` };
    stub(
      `[ "$1" = --version ] && exec ${real} --version\nexec ${real} --unshare-user --uid 0 --bind / / --dev-bind /nowhere /x "$@"`,
    );
    expect(await refusal({ environment })).to.match(
      /SANDBOX=bubblewrap cannot be had here\. The kernel, or the container this runs in, refuses it: bwrap: .*--sandbox process/,
    );
    stub('echo bubblewrap 0.4.1');
    expect(await refusal({ environment })).to.contain('bwrap 0.7 or later is needed, this is bubblewrap 0.4.1');
    rmSync(folder, { recursive: true });
  });

  function withoutGroup(name: 'memory' | 'pids'): boolean {
    return (
      fixture.events.some(
        (event) => event.type === 'weakened' && event.message.includes(name === 'pids' ? 'processes' : name),
      ) && ControlGroups.open().missing.includes(name)
    );
  }

  function sleepers(): number {
    return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid) === 'sleep\u000061.25\u0000')
      .length;
  }
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
