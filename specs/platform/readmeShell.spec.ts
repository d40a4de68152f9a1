import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { MAIN } from '../../cli/actorProcess.js';
import { freePort } from '../../cli/freePort.js';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { eventually } from '../support/eventually.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PYTHON, PythonClient } from '../support/python.js';

const DEFAULT_URL = 'http://127.0.0.1:8000';
/** `curl -N` and `top` go on for as long as somebody looks. */
const LOOK_MS = 10_000;
/** Proven by the run of the specs itself, and by specs/cli/demo.spec.ts. */
const ELSEWHERE = ['make demo', 'make test'];

const readme = readFileSync(join(PACKAGE_ROOT, 'README.md'), 'utf8');
const commands = [...readme.matchAll(/^```sh\n(.*?)^```/gms)]
  .flatMap(([, block]) => block!.trim().split('\n'))
  .map((line) => line.replace(/ +# .*$/, ''))
  .filter((line) => !ELSEWHERE.includes(line));
const starting = (word: string): string[] => commands.filter((line) => line.startsWith(word));

/** Every command of the README, as it stands there but for ports, ids and paths. */
describe('The commands in the README', function () {
  this.timeout(90_000);
  let platform: SpecPlatform;
  let directory: string;
  let python: PythonClient;
  let functionId: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'readme-'));
    const command = join(directory, 'mpcsfaas');
    writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`);
    chmodSync(command, 0o755);
    writeFileSync(join(directory, 'file.py'), 'def function(x, y, b=0):\n    return x + y + b\n');
    platform = await startPlatform({ workers: 1 });
    python = new PythonClient();
    functionId = await register(platform.apiUrl, 'def f(x): return 1 / x');
  });
  after(async () => {
    await python.stop();
    await platform.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  function launch(
    line: string,
    env: NodeJS.ProcessEnv = {},
    cwd = directory,
  ): { child: ChildProcess; output: () => string } {
    const path = `${directory}:${process.env['PATH'] ?? ''}`;
    const child = spawn('bash', ['-c', `exec ${line}`], {
      cwd,
      detached: true,
      env: { ...process.env, PATH: path, PYTHON, MPCSFAAS_URL: platform.apiUrl, ...env },
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data.toString()));
    return { child, output: () => text };
  }

  const exited = (child: ChildProcess): Promise<number | null> =>
    child.exitCode === null && child.signalCode === null
      ? new Promise((resolve) => child.once('exit', (code) => resolve(code)))
      : Promise.resolve(child.exitCode);

  async function interrupt(child: ChildProcess): Promise<void> {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGINT');
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), 20_000);
    await exited(child);
    clearTimeout(timer);
  }

  /** With a task that has ended for the command to look at, and a new worker for `drain`. */
  async function filledIn(line: string): Promise<string> {
    const { taskId, groupId } = await task();
    const worker = line.includes('drain') ? await platform.addWorker().then(newestWorker) : '';
    return line
      .replaceAll(DEFAULT_URL, platform.apiUrl)
      .replace('cursor=...', `cursor=${await cursor()}`)
      .replaceAll('TASK_ID', taskId)
      .replaceAll('GROUP_ID', groupId)
      .replaceAll('NAME', worker)
      .replaceAll('KEY_ID', line.includes('KEY_ID') ? await keyId() : '');
  }

  async function call(url: string, path: string, body: unknown): Promise<Record<string, unknown>> {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    return (await answer.json()) as Record<string, unknown>;
  }

  async function keyId(): Promise<string> {
    const { body } = await platform.call('POST', '/keys', { name: 'old', tenant: 'default', scopes: ['read'] });
    return (body as { key_id: string }).key_id;
  }

  async function register(url: string, source: string): Promise<string> {
    const payload = await python.pickleFunction(source, 'f');
    return String((await call(url, '/register_function', { name: 'f', payload }))['function_id']);
  }

  /** A task that has failed. */
  async function task(): Promise<{ taskId: string; groupId: string }> {
    const payloads = [await python.pickleArguments([0])];
    const answer = await call(platform.apiUrl, '/tasks', { function_id: functionId, payloads, final: true });
    const [taskId] = answer['task_ids'] as string[];
    await platform.call('GET', `/result/${taskId!}?wait=20`);
    return { taskId: taskId!, groupId: String(answer['group_id']) };
  }

  async function cursor(): Promise<string> {
    await Promise.all([task(), task()]);
    const { body } = await platform.call('GET', '/tasks?status=FAILED&limit=1');
    return (body as { cursor: string }).cursor;
  }

  async function newestWorker(): Promise<string> {
    const { body } = await platform.call('GET', '/workers');
    const { workers } = body as { workers: { name: string; joined_at: string }[] };
    return workers.toSorted((a, b) => a.joined_at.localeCompare(b.joined_at)).at(-1)!.name;
  }

  for (const line of [...starting('curl'), ...starting('mpcsfaas')]) {
    it(line, async () => {
      const ends = !line.includes('mpcsfaas top');
      const filled = (await filledIn(line)).replace(/^curl/, 'curl --silent --show-error --fail-with-body');
      const { child, output } = launch(filled, { REDIS_URL: platform.redis.url });
      if (ends) {
        const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
        // 1 says that the task which `logs` and `explain` tell of has failed, as it has.
        expect(await exited(child), output()).to.be.oneOf(/ (logs|explain) /.test(line) ? [0, 1] : [0]);
        clearTimeout(timer);
      } else {
        await eventually('it shows something', () => output().length > 0, LOOK_MS);
        await interrupt(child);
      }
      if (!line.includes('/logs') && !/ (logs|cancel) /.test(line)) expect(output()).not.to.equal('');
    });
  }

  for (const line of starting('node dist/cli/main.js push_worker')) {
    it(line, async () => {
      const filled = line
        .replace('tcp://HOST:5555', platform.dispatcherUrl)
        .replace('/path/to/my/modules', directory)
        .replace('/path/to/venv/bin/python', PYTHON);
      const before = await workerCount();
      const { child, output } = launch(filled, {}, PACKAGE_ROOT);
      try {
        await eventually(`it joins: ${output()}`, async () => (await workerCount()) > before, 20_000);
      } finally {
        await interrupt(child);
      }
    });
  }

  async function workerCount(): Promise<number> {
    const { body } = await platform.call('GET', '/workers');
    return (body as { workers: { state: string }[] }).workers.filter(({ state }) => state !== 'gone').length;
  }

  for (const line of starting('make up')) {
    it(line, async () => {
      const port = /API_PORT=(\d+)/.exec(line)?.[1] ?? String(await freePort());
      const filled = line
        .replace('redis://127.0.0.1:6379', platform.redis.url)
        .replace('nats://127.0.0.1:4222', platform.nats.url)
        .replace(`API_PORT=${port}`, `API_PORT=${await freePort()}`)
        .replace('/tmp/second', directory);
      const env = { API_PORT: port, DATA_DIR: join(directory, 'data') };
      const { child, output } = launch(filled, env, PACKAGE_ROOT);
      try {
        const url = await shownUrl(output);
        expect((await fetch(`${url}/health/ready`)).status).to.equal(200);
      } finally {
        await interrupt(child);
      }
    });
  }

  /** Where the API is, from what `up` says when all is there. */
  async function shownUrl(output: () => string): Promise<string> {
    const url = /http:\/\/127\.0\.0\.1:\d+/;
    await eventually('it says where the API is', () => url.test(output()), 30_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${output()}`);
    });
    return url.exec(output())![0];
  }

  it(`${starting('make')
    .filter((line) => !line.startsWith('make up'))
    .join(', ')}: a platform`, async () => {
    const ports = await Promise.all(Array.from({ length: 4 }, () => freePort()));
    const env = {
      REDIS_URL: `redis://127.0.0.1:${ports[0]!}`,
      NATS_URL: `nats://127.0.0.1:${ports[1]!}`,
      API_PORT: String(ports[2]),
      DISPATCHER_PORT: String(ports[3]),
      DATA_DIR: join(directory, 'single'),
    };
    const actors = starting('make').filter((line) => !line.startsWith('make up'));
    const running = actors.map((line) => launch(line, env, PACKAGE_ROOT));
    try {
      const url = `http://127.0.0.1:${ports[2]!}`;
      await eventually(
        'the API is there',
        () =>
          fetch(`${url}/health/ready`).then(
            ({ ok }) => ok,
            () => false,
          ),
        40_000,
      );
      const function_id = await register(url, 'def f(x): return x * 7');
      const payload = await python.pickleArguments([6]);
      const answer = await call(url, '/execute_function?wait=30', { function_id, payload });
      expect(await python.loadJson(String(answer['result']))).to.equal(42);
    } catch (error) {
      throw new Error(`${String(error)}\n${running.map(({ output }) => output()).join('\n')}`, { cause: error });
    } finally {
      // Workers and actors first, then what they lean on.
      for (const { child } of running.toReversed()) {
        await interrupt(child);
        await sleep(50);
      }
    }
  });

  it('are all tried here', () => {
    const known = ['curl', 'mpcsfaas', 'node dist/cli/main.js push_worker', 'make'];
    expect(commands.filter((line) => !known.some((word) => line.startsWith(word)))).to.deep.equal([]);
    expect(commands.length).to.be.above(30);
  });
});
