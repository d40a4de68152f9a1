import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { ControlGroups } from '../../workers/sandbox/controlGroups.js';
import { temporaryRoot } from '../support/specEnvironment.js';
import type { PoolFixture } from '../workers/support/poolFixture.js';
import { PythonClient } from '../workers/support/pythonClient.js';
import {
  bubblewrapIsThere,
  lines,
  type PoolFixtureOptions,
  SEVEN,
  startBubblewrapped,
} from './support/bubblewrapped.js';

describe('A function in the sandbox `bubblewrap`', function () {
  this.timeout(20_000);
  let client: PythonClient;
  let fixture: PoolFixture;
  let redis: Server;
  let port: number;
  let directory: string;

  before(async function () {
    if (!bubblewrapIsThere()) return this.skip();
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
    if (!bubblewrapIsThere()) return;
    await fixture.pool.stop(0);
    client.close();
    redis.close();
    rmSync(directory, { recursive: true });
    rmSync(join(temporaryRoot, 'another-task'));
  });

  function start(options: PoolFixtureOptions = {}): Promise<PoolFixture> {
    const environment = { ...process.env, REDIS_URL: 'redis://:secret@127.0.0.1', API_TOKEN: 'secret' };
    const sandbox = { hidden: [join(directory, 'data')], ...options.sandbox };
    return startBubblewrapped(client, { cwd: directory, environment, ...options, sandbox });
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

  function withoutGroup(name: 'memory' | 'pids'): boolean {
    return (
      fixture.events.some(
        (event) => event.type === 'weakened' && event.message.includes(name === 'pids' ? 'processes' : name),
      ) && ControlGroups.open().missing.includes(name)
    );
  }
});
