import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { ChildProcess } from '../../cli/childProcess.js';
import { MAIN } from '../../cli/actorProcess.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/servers.js';
import { PYTHON, PythonClient } from '../support/python.js';
import { RUN_VARIABLE } from '../support/specEnvironment.js';

const READY_MS = 30_000;

/** `mpcsfaas up` as a person starts it, in a directory of its own. */
class Up {
  readonly directory: string;
  readonly output: string;
  apiPort = 0;
  #process: ChildProcess | undefined;

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'up-'));
    this.output = join(this.directory, 'terminal');
  }

  async start(env: Record<string, string> = {}): Promise<ChildProcess> {
    this.apiPort = Number(env['API_PORT'] ?? (await freePort()));
    // Python processes are given the variable by which they are found.
    const marks = { DATA_DIR: this.directory, WORKER_ENV: `${RUN_VARIABLE},DATA_DIR` };
    this.#process = await ChildProcess.launch({
      name: 'up',
      command: process.execPath,
      args: [MAIN, 'up'],
      logFile: this.output,
      env: { ...process.env, PYTHON, API_PORT: String(this.apiPort), SLOTS: '1', ...marks, ...env },
    });
    return this.#process;
  }

  /** Waits until the terminal shows `text`. */
  async shows(text: string): Promise<string> {
    const deadlineMs = performance.now() + READY_MS;
    while (performance.now() < deadlineMs) {
      const shown = this.text();
      if (shown.includes(text)) return shown;
      await sleep(20);
    }
    throw new Error(`"${text}" was never shown; this was:\n${this.text()}`);
  }

  text(): string {
    return readFileSync(this.output, 'utf8');
  }

  /** Pids of the processes of this platform, found by the variable that they all have. */
  processes(title = ''): number[] {
    const mark = `DATA_DIR=${this.directory}\0`;
    return readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid) && readProc(pid, 'environ').includes(mark))
      .filter((pid) => readProc(pid, 'cmdline').includes(title))
      .map(Number)
      .filter((pid) => pid !== this.#process?.pid);
  }

  async noProcessesLeft(): Promise<void> {
    const deadlineMs = performance.now() + 10_000;
    while (this.processes().length > 0 && performance.now() < deadlineMs) await sleep(20);
    expect(this.processes()).to.deep.equal([]);
  }

  async end(): Promise<void> {
    await this.#process?.stop(READY_MS);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** Returns when the function has begun. */
async function runForAMinute(apiUrl: string): Promise<void> {
  const python = new PythonClient();
  const call = async (path: string, body?: unknown): Promise<Record<string, string>> => {
    const headers = { 'content-type': 'application/json', connection: 'close' };
    const request = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) };
    return (await (await fetch(`${apiUrl}${path}`, request)).json()) as Record<string, string>;
  };
  try {
    const sleeper = await python.pickleFunction('import time\ndef sleeper():\n    time.sleep(60)\n', 'sleeper');
    const { function_id } = await call('/register_function', { name: 'sleeper', payload: sleeper });
    const { task_id } = await call('/execute_function', { function_id, payload: await python.pickleArguments([]) });
    while ((await call(`/status/${task_id ?? ''}`))['status'] !== 'RUNNING') await sleep(20);
  } finally {
    await python.stop();
  }
}

describe('mpcsfaas up', function () {
  this.timeout(60_000);
  let up: Up;
  let others: Up[];

  const another = (): Up => {
    const other = new Up();
    others.push(other);
    return other;
  };

  beforeEach(() => {
    others = [];
    up = another();
  });

  afterEach(async () => {
    for (const one of others) await one.end();
  });

  it('prints a line that runs a function, and a Ctrl-C ends it all with exit code 0', async () => {
    const process = await up.start();
    const shown = await up.shows('Paste this');
    expect(shown).to.include(`http://127.0.0.1:${up.apiPort}/docs`);
    await up.shows('["result"])))');
    const line = up
      .text()
      .split('\n')
      .find((one) => one.includes(' -c '));
    const { stdout } = await promisify(execFile)('sh', ['-c', line ?? 'exit 1']);
    expect(stdout).to.equal('7 squared is 49\n');
    process.kill('SIGINT');
    expect(await process.exited).to.equal('exit code 0');
    expect(up.text()).to.match(/stopped\n$/);
    await up.noProcessesLeft();
    expect(existsSync(join(up.directory, 'logs', 'dispatcher.log'))).to.equal(true);
  });

  it('starts again what crashes, the dispatcher on its port', async () => {
    await up.start();
    await up.shows('Paste this');
    const ports = /tcp:\/\/127\.0\.0\.1:(\d+)/.exec(up.text());
    for (const actor of ['dispatcher', 'worker']) {
      const [pid] = up.processes(`mpcsfaas ${actor}`);
      process.kill(pid ?? 0, 'SIGKILL');
    }
    await up.shows('dispatcher ended (SIGKILL)');
    await up.shows('worker-1 ended (SIGKILL)');
    const deadlineMs = performance.now() + READY_MS;
    const upAgain = /dispatcher +is up|dispatcher is up/g;
    while ((up.text().match(upAgain) ?? []).length < 2 && performance.now() < deadlineMs) await sleep(50);
    expect(up.text().match(upAgain)).to.have.length(2);
    const log = join(up.directory, 'logs', 'dispatcher.log');
    const port = `127.0.0.1:${ports?.[1] ?? ''}`;
    await eventually('it has the port twice', () => readFileSync(log, 'utf8').split(port).length > 2);
  });

  it('lets a worker that is drained go, and says so', async () => {
    await up.start();
    await up.shows('Paste this');
    const apiUrl = `http://127.0.0.1:${up.apiPort}`;
    const headers = { connection: 'close' };
    const workers = async (): Promise<{ name: string }[]> =>
      ((await (await fetch(`${apiUrl}/workers`, { headers })).json()) as { workers: { name: string }[] }).workers;
    const deadlineMs = performance.now() + READY_MS;
    while ((await workers()).length === 0 && performance.now() < deadlineMs) await sleep(50);
    const [worker] = await workers();
    await fetch(`${apiUrl}/workers/${worker?.name ?? ''}/drain`, { method: 'POST', headers });
    await up.shows('worker-1 was drained and has left; it is not started again');
    expect(up.processes('mpcsfaas worker')).to.deep.equal([]);
    await eventually('its dispatcher has forgotten it', async () => (await workers()).length === 0);
  });

  it('takes its processes along when it is killed', async () => {
    const process = await up.start();
    await up.shows('Paste this');
    expect(up.processes()).to.have.length.greaterThan(5);
    process.kill('SIGKILL');
    await process.exited;
    await up.noProcessesLeft();
  });

  it('ends at once, running tasks or not, when it is told twice', async () => {
    const process = await up.start();
    await up.shows('Paste this');
    await runForAMinute(`http://127.0.0.1:${up.apiPort}`);
    process.kill('SIGINT');
    await up.shows('stopping');
    const toldAgainMs = performance.now();
    process.kill('SIGINT');
    expect(await process.exited).to.equal('exit code 130');
    // Told once it would give the task ten seconds.
    expect(performance.now() - toldAgainMs).to.be.lessThan(8_000);
    await up.noProcessesLeft();
  });

  it('stops in order when it is told to while it starts', async () => {
    const process = await up.start();
    await up.shows('redis is up');
    process.kill('SIGTERM');
    expect(await process.exited).to.equal('exit code 0');
    await up.noProcessesLeft();
  });

  it('two run side by side; a second one on the same data is refused', async () => {
    await up.start();
    const beside = another();
    await beside.start();
    await Promise.all([up.shows('Paste this'), beside.shows('Paste this')]);
    const second = another();
    const process = await second.start({ DATA_DIR: up.directory });
    expect(await process.exited).to.equal('exit code 1');
    expect(second.text()).to.match(/^mpcsfaas: \S+ is in use by another platform \(process \d+\); stop it, or .*\n$/);
  });

  it('refuses a taken port in one sentence', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    try {
      await new Promise((resolve) => holder.once('listening', resolve));
      const address = holder.address();
      const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
      const process = await up.start({ API_PORT: String(port) });
      expect(await process.exited).to.equal('exit code 1');
      expect(up.text()).to.match(new RegExp(`^mpcsfaas: API_PORT=${port} is taken on 127.0.0.1: stop .*\n$`));
      expect(up.processes()).to.deep.equal([]);
    } finally {
      await new Promise((resolve) => holder.close(resolve));
    }
  });

  for (const [env, sentence] of [
    [{ MODE: 'shove' }, 'MODE=shove is not valid: it must be one of push, pull, local.'],
    [{ PYTHON: '/no/such/python' }, 'PYTHON=/no/such/python cannot run functions: there is no such program.'],
  ] as const) {
    it(`refuses ${JSON.stringify(env)} in one sentence`, async () => {
      const process = await up.start(env);
      expect(await process.exited).to.equal('exit code 1');
      expect(up.text()).to.include(sentence);
      expect(up.text().trimEnd().split('\n')).to.have.length(1);
    });
  }
});
