import { expect } from 'chai';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAIN } from '../../cli/actorProcess.js';
import { findExecutable } from '../../cli/childProcess.js';
import { freePort } from '../../cli/freePort.js';
import { eventually } from '../support/eventually.js';
import { Gate } from '../support/gate.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PYTHON } from '../support/python.js';

const FUNCTIONS = `
import time
OFFSET = 1
def add(a, b=0):
    return a + b + OFFSET - 1
def fail(text):
    raise KeyError(text)
def talk():
    import sys
    print("out", flush=True)
    print("err", file=sys.stderr, flush=True)
def count(*gates):
    import os, time
    for gate in gates:
        for i in range(8):
            print(i)
        print("half of ", end="", flush=True)
        while not os.path.exists(gate):
            time.sleep(0.02)
        print("a line")
def hang():
    time.sleep(60)
print("imported")
if __name__ == "__main__":
    raise SystemExit("must not run")
`;

/** `((5,), {})` */
const PAYLOAD = Buffer.from('80049507000000000000004b0585947d94862e', 'hex').toString('base64');

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** The command line as a person or a program calls it, as processes, against a real platform. */
describe('mpcsfaas for people', function () {
  this.timeout(60_000);
  let platform: SpecPlatform;
  let directory: string;
  let file: string;
  before(async () => {
    platform = await startPlatform({ workers: 1, slots: 2 });
    directory = mkdtempSync(join(tmpdir(), 'commands-'));
    file = join(directory, 'functions.py');
    writeFileSync(file, FUNCTIONS);
  });
  after(async () => {
    await platform.stop();
    rmSync(directory, { recursive: true });
  });

  const env = (): NodeJS.ProcessEnv => ({ ...process.env, PYTHON, MPCSFAAS_URL: platform.apiUrl });
  const call = (...args: string[]): Promise<Ended> =>
    new Promise((resolve) => {
      execFile(process.execPath, [MAIN, ...args], { env: env(), timeout: 40_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  const json = async (...args: string[]): Promise<Record<string, unknown>> => {
    const { stdout, stderr } = await call(...args, '--json');
    expect(stdout, stderr).to.match(/^\{.*\}\n$/);
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  const started = async (name: string, ...args: string[]): Promise<string> =>
    (await call('run', `${file}:${name}`, '--no-wait', ...args)).stdout.trim();
  const statusIs = (taskId: string, status: string): Promise<void> =>
    eventually(`${taskId} is ${status}`, async () => {
      const { body } = await platform.call('GET', `/status/${taskId}`);
      return (body as { status: string }).status === status;
    });

  describe('run', () => {
    it('prints what the function returned, and nothing else', async () => {
      const ended = await call('run', `${file}:add`, '--args', '[40]', '--kwargs', '{"b": 2}');
      expect(ended).to.include({ code: 0, stdout: '42\n' });
    });

    it('takes Python literals and answers with JSON', async () => {
      const answer = await json('run', `${file}:add`, '--args', "('a', 'b')");
      expect(answer['status']).to.equal('FAILED');
      const good = await json(
        'run',
        `${file}:add`,
        '--args',
        '(1.5,)',
        '--priority',
        'high',
        '--timeout',
        '20',
        '--retries',
        '1',
      );
      expect(good).to.include({ status: 'COMPLETED', value: 1.5, repr: '1.5', failure: null });
    });

    it('shows the traceback of what the function raised, and ends with 1', async () => {
      const { code, stdout, stderr } = await call('run', `${file}:fail`, '--args', '["gone"]');
      expect([code, stdout]).to.deep.equal([1, '']);
      expect(stderr)
        .to.match(/in fail/)
        .and.match(/KeyError: 'gone'/)
        .and.match(/mpcsfaas explain [\da-f-]{36}/);
    });

    for (const [args, words] of [
      [['nowhere.py:f'], 'There is no file nowhere.py.'],
      [['nowhere.py'], 'write file.py:function'],
      [['FILE:nothing'], 'has no function nothing'],
      [['FILE:add', '--args', '{"a": 1}'], 'must be a list'],
      [['FILE:add', '--args', '[1'], 'neither JSON nor a Python literal'],
      [['FILE:add', '--timeout', 'soon'], '--timeout soon is not a number'],
      [['FILE:add', '--python', '/no/python'], 'There is no Python at /no/python'],
      [['FILE:add', '--priority', 'urgent'], 'Allowed choices are high, normal, low'],
      [[], "missing required argument 'file.py:function'"],
    ] as const) {
      it(`refuses ${JSON.stringify(args)} with 2`, async () => {
        const { code, stderr } = await call('run', ...args.map((one) => one.replace('FILE', file)));
        expect(stderr).to.include(words);
        expect(code).to.equal(2);
      });
    }
  });

  it('status tells how it stands', async () => {
    await eventually('both are there', async () => {
      const { workers, dispatchers } = await json('status');
      return workers === 1 && dispatchers === 1;
    });
    const { code, stdout } = await call('status');
    expect(code).to.equal(0);
    expect(stdout)
      .to.match(/0 of 2 busy, 1 worker, 1 dispatcher/)
      .and.to.match(/0 queued, 0 running/);
    expect(await json('status')).to.deep.include({ slots: { total: 2, busy: 0 } });
  });

  it('tasks lists them, filtered, without colours in a pipe', async () => {
    await call('run', `${file}:fail`, '--args', '["listed"]');
    const { stdout } = await call('tasks', '--status', 'failed', '--limit', '1');
    const [header, row] = stdout.split('\n');
    expect(header).to.match(/^TASK +STATUS +FUNCTION/);
    expect(row).to.match(/^[\da-f-]{36} {2}FAILED {2}fail {2,}\S.* ago .*KeyError: 'listed'/);
    // eslint-disable-next-line no-control-regex -- what a colour begins with
    expect(stdout).not.to.match(/\u001b/);
    const { tasks, cursor } = await json('tasks', '--failure', 'UserException', '--limit', '1');
    expect((tasks as object[])[0]).to.include({ function_name: 'fail', status: 'FAILED' });
    const next = await json('tasks', '--failure', 'UserException', '--cursor', String(cursor));
    expect((next['tasks'] as object[])[0]).not.to.deep.equal((tasks as object[])[0]);
    expect((await call('tasks', '--status', 'ended')).code).to.equal(2);
  });

  it('workers lists them', async () => {
    const { stdout } = await call('workers');
    expect(stdout)
      .to.match(/^WORKER +STATE +BUSY/)
      .and.to.match(/ (ready|busy) +\d\/2 /);
    expect((await json('workers'))['workers']).to.have.length(1);
  });

  it('cancel ends a running task, and explain says so before and after', async () => {
    const taskId = await started('hang');
    await statusIs(taskId, 'RUNNING');
    expect((await call('explain', taskId)).stdout).to.match(/is RUNNING.\nIt runs/);
    expect((await call('cancel', taskId)).stdout).to.equal(`${taskId} is cancelled\n`);
    expect((await call('cancel', taskId)).stdout).to.equal(`${taskId} had ended before: CANCELLED\n`);
    expect((await call('explain', taskId)).stdout).to.match(/is CANCELLED.\nIt was cancelled .* ago/);
    expect((await call('cancel', '00000000-0000-4000-8000-000000000000')).code).to.equal(2);
  });

  it('explain tells why a task failed, or waits', async () => {
    const { task_id } = await json('run', `${file}:fail`, '--args', '["why"]');
    const { stdout } = await call('explain', String(task_id));
    expect(stdout).to.match(/is FAILED.\nKeyError: 'why'\nIt ended .* after 1 attempt, the last on /);
    expect(stdout).to.match(/Traceback/);
    expect(await json('explain', String(task_id))).to.include({ task_id, status: 'FAILED' });
    const { body } = await platform.call('GET', `/tasks/${String(task_id)}`);
    const { function_id } = body as { function_id: string };
    const delayed = { function_id, payload: PAYLOAD, delay_s: 600 };
    const waiting = (await platform.call('POST', '/execute_function', delayed)).body as { task_id: string };
    expect((await call('explain', waiting.task_id)).stdout).to.match(/is QUEUED.\n.*until .*20\d\d-/i);
    await call('cancel', waiting.task_id);
  });

  it('logs shows what was printed, and follows to the end', async () => {
    const { task_id } = await json('run', `${file}:talk`);
    expect((await call('logs', String(task_id))).stdout)
      .to.include('out\n')
      .and.to.include('err\n');
    const followed = await call('logs', '-f', String(task_id));
    expect(followed.stdout).to.equal('out\n');
    expect(followed.stderr)
      .to.match(/^err\n/)
      .and.to.match(/COMPLETED/);
    const lines = ((await json('logs', String(task_id)))['lines'] as { stream: string }[]).map(({ stream }) => stream);
    expect(lines).to.have.members(['stdout', 'stderr']);
  });

  it('logs -f goes on where it was when the API is started again, or dies', async () => {
    const gates = [new Gate(), new Gate()] as const;
    const taskId = await started('count', '--args', JSON.stringify(gates.map(({ path }) => path)));
    const child = spawn(process.execPath, [MAIN, 'logs', '-f', taskId], { env: env() });
    let [printed, said] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const code = new Promise((resolve) => child.once('exit', resolve));
    const numbers = '0\n1\n2\n3\n4\n5\n6\n7\n';
    await eventually('it prints', () => printed === numbers);
    await platform.api.restart();
    expect(child.exitCode, said).to.equal(null);
    gates[0].open();
    await eventually('it goes on', () => printed === `${numbers}half of a line\n${numbers}`, 30_000);
    await platform.api.kill('SIGKILL');
    await platform.api.restart();
    gates[1].open();
    expect(await code, said).to.equal(0);
    for (const gate of gates) gate.remove();
    expect(printed).to.equal(`${numbers}half of a line\n`.repeat(2));
    expect(said.match(/the API is away/g)).to.have.length(2);
    expect(said).to.match(/task COMPLETED\n$/);
  });

  it('run-again runs failed tasks once more', async () => {
    const { task_id } = await json('run', `${file}:fail`, '--args', '["again"]');
    const { task_id: second } = await json('run-again', String(task_id));
    expect((await call('explain', String(task_id))).stdout).to.include(`It was run again as ${String(second)}`);
    await statusIs(String(second), 'FAILED');
    expect((await call('run-again', '--failure', 'UserException')).stdout).to.match(/^\d+ tasks? run again, in group /);
    expect((await call('run-again')).code).to.equal(2);
  });

  it('run-again runs all that failed so, however many, or as many as were asked for', async () => {
    const { body: made } = await platform.call('POST', '/register_function', { name: 'none', payload: PAYLOAD });
    const { function_id } = made as { function_id: string };
    for (const length of [500, 500, 30]) {
      const payloads = Array.from({ length }, () => PAYLOAD);
      const { body } = await platform.call('POST', '/tasks', { function_id, payloads, delay_s: 600 });
      await platform.call('POST', '/tasks/cancel', { task_ids: (body as { task_ids: string[] }).task_ids });
    }
    const counts = async (...args: string[]): Promise<number[]> => {
      const { stdout } = await call('run-again', '--failure', 'Cancelled', '--function', function_id, ...args);
      return [...stdout.matchAll(/^(\d+) tasks? run again, in group /gm)].map(([, count]) => Number(count));
    };
    expect(await counts('--limit', '10')).to.deep.equal([10]);
    expect(await counts()).to.deep.equal([1_000, 20]);
    expect(await counts()).to.deep.equal([0]);
    expect((await call('run-again', '--function', function_id, '--limit', 'all')).code).to.equal(2);
  });

  it('top looks again and again, as lines for a program, in place in a terminal', async () => {
    const { stdout } = await call('top', '--count', '2', '--interval', '0.1', '--json');
    expect(stdout.trim().split('\n')).to.have.length(2);
    const script = findExecutable('script', process.env['PATH']);
    expect(script, 'util-linux').to.be.a('string');
    const words = `${process.execPath} ${MAIN} top --count 2 --interval 0.1`;
    const shown = await new Promise<string>((resolve, reject) => {
      const terminal = { ...env(), TERM: 'xterm', NO_COLOR: '' };
      const child = spawn(script!, ['-qec', words, '/dev/null'], {
        env: terminal,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
      child.once('error', reject).once('close', () => {
        resolve(text);
      });
    });
    expect(shown.split('\u001b[H\u001b[J')).to.have.length(3);
    expect(shown).to.include('\u001b[1mMPCSFaaS\u001b[22m at');
  });

  it('drain has a worker leave, then the dispatcher', async () => {
    const extra = await platform.addWorker();
    let name = '';
    await eventually('it is listed', async () => {
      const { workers } = (await platform.call('GET', '/workers')).body as { workers: { name: string; pid: number }[] };
      name = workers.find(({ pid }) => pid === extra.pid)?.name ?? '';
      return name !== '';
    });
    expect(await call('drain', 'worker', name)).to.include({ code: 0, stdout: `worker ${name} has left\n` });
    await eventually('it has ended', () => !extra.running);
    expect((await call('drain', 'worker', name)).code).to.equal(2);
    expect((await call('drain', 'monitor', name)).code).to.equal(2);
    const { dispatchers } = (await platform.call('GET', '/dispatchers')).body as { dispatchers: { id: string }[] };
    expect(await json('drain', 'dispatcher', dispatchers[0]!.id)).to.include({ gone: true });
    await eventually('it has ended', () => !platform.dispatcher.running);
    expect((await call('status')).stdout).to.include('No dispatcher runs');
    await platform.dispatcher.restart();
  });

  it('says with 3 that nobody answers, and what to do', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    for (const words of [['status'], ['tasks'], ['logs', '-f', 'x'], ['top', '--json']]) {
      const { code, stderr } = await call(...words, '--url', url);
      expect(stderr).to.equal(
        `mpcsfaas: No platform answers at ${url}. Start one with \`make up\`, or say where it is with --url or MPCSFAAS_URL.\n`,
      );
      expect(code).to.equal(3);
    }
  });
});
