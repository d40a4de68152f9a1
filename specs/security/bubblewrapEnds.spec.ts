import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { children } from '../../workers/processGroup.js';
import { ControlGroups } from '../../workers/sandbox/controlGroups.js';
import { findProgram } from '../../workers/sandbox/runtimePaths.js';
import { temporaryRoot } from '../support/specEnvironment.js';
import { eventually, openDescriptors, PoolFixture, sleep } from '../workers/support/poolFixture.js';
import { PythonClient } from '../workers/support/pythonClient.js';
import {
  bubblewrapIsThere,
  lines,
  type PoolFixtureOptions,
  SEVEN,
  startBubblewrapped,
} from './support/bubblewrapped.js';

describe('A process in the sandbox `bubblewrap`', function () {
  this.timeout(20_000);
  let client: PythonClient;
  let fixture: PoolFixture;

  before(async function () {
    if (!bubblewrapIsThere()) return this.skip();
    client = new PythonClient();
    fixture = await startBubblewrapped(client);
  });

  after(async () => {
    if (!bubblewrapIsThere()) return;
    await fixture.pool.stop(0);
    client.close();
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
    const own = await startBubblewrapped(client, { slots: 2 });
    await own.call(SEVEN);
    await own.pool.stop(0);
    expect(children(process.pid).filter((pid) => !childrenBefore.includes(pid))).to.deep.equal([]);
    await eventually(() => groupsLeft() === groupsBefore, 2_000);
    probe.close();
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('mpcsfaas-tmp-'))).to.deep.equal([]);
    await eventually(() => openDescriptors() <= opened, 500);
  });

  it('is refused, with the reason, where it cannot be had', async () => {
    const refusal = async (options: PoolFixtureOptions): Promise<string> => {
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
});

function sleepers(): number {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid) === 'sleep\u000061.25\u0000')
    .length;
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
