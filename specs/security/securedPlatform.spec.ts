import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { connect as connectNats, nkeyAuthenticator, StringCodec } from 'nats';
import { MAIN } from '../../cli/actorProcess.js';
import { freePort } from '../../cli/freePort.js';
import { readConfigFile } from '../../cli/security/configFile.js';
import { readCredentials } from '../../cli/security/credentials.js';
import { filesOf } from '../../cli/security/deployment.js';
import { readDispatcherKeys } from '../../cli/security/keyFiles.js';
import { redisSocket } from '../../cli/servers.js';
import { eventually } from '../support/eventually.js';
import { PYTHON, PythonClient } from '../support/python.js';

const run = promisify(execFile);
/** Its first run lasts longer than any step of a spec, every later one no time. */
const LONG_AT_FIRST = `
def f(journal):
    import os, time
    if os.path.exists(journal):
        return 2
    open(journal, "w").close()
    time.sleep(60)
    return 1
`;
type Role = 'api' | 'dispatcher' | 'monitor' | 'admin';

/** A whole platform as `mpcsfaas init` and `mpcsfaas up` make it, every actor with credentials of its own. */
describe('A secured platform', function () {
  this.timeout(180_000);
  const parent = mkdtempSync(join(tmpdir(), 's-'));
  const directory = join(parent, 'd');
  const files = filesOf(directory);
  const python = new PythonClient();
  const processes: ChildProcess[] = [];
  let apiKey: string;
  let apiUrl: string;
  let functionId: string;

  const mpcsfaas = async (...args: string[]): Promise<string> => (await run(process.execPath, [MAIN, ...args])).stdout;
  const log = (actor: string): string => readFileSync(join(directory, 'data', 'logs', `${actor}.log`), 'utf8');

  function start(args: string[], env: NodeJS.ProcessEnv = {}): { child: ChildProcess; output: () => string } {
    let output = '';
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { ...process.env, PYTHON, LOG_FORMAT: 'json', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
    processes.push(child);
    return { child, output: () => output };
  }

  async function call<T>(method: string, path: string, body?: unknown, key = apiKey): Promise<T> {
    const response = await fetch(apiUrl + path, {
      method,
      headers: { connection: 'close', authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return (await response.json()) as T;
  }

  const workers = async (): Promise<{ name: string; state: string }[]> =>
    (await call<{ workers: { name: string; state: string }[] }>('GET', '/workers')).workers;
  const has = (name: string, state: string) => async (): Promise<boolean> =>
    (await workers().catch(() => [])).some((worker) => worker.name === name && worker.state === state);

  async function compute(count: number, options: object = {}): Promise<unknown[]> {
    const payloads = await Promise.all(Array.from({ length: count }, (_, n) => python.pickleArguments([n])));
    const { task_ids } = await call<{ task_ids: string[] }>('POST', '/tasks', {
      function_id: functionId,
      payloads,
      ...options,
    });
    const { results } = await call<{ results: { status: string; result: string }[] }>('POST', '/results', {
      task_ids,
      wait: 60,
    });
    const values = results.map(async ({ status, result }) =>
      status === 'COMPLETED' ? python.loadJson(result) : status,
    );
    return Promise.all(values);
  }

  function redisAs(role: Role | undefined): Redis {
    const secret = role && readCredentials(files.credentials).redis[role][0]?.secret;
    const path = new URL(redisSocket(join(directory, 'data', 'redis')) ?? '').pathname;
    const credentials = secret === undefined ? {} : { username: role, password: secret };
    return new Redis({
      path,
      ...credentials,
      retryStrategy: () => null,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
    });
  }

  async function refusals(redis: Redis, commands: string[][]): Promise<string[]> {
    redis.on('error', () => undefined);
    const answers = commands.map(([name = '', ...args]) => redis.call(name, ...args).then(() => 'done', String));
    return Promise.all(answers).finally(() => {
      redis.disconnect();
    });
  }

  before(async () => {
    const [apiPort, dispatcherPort] = [await freePort(), await freePort()];
    apiUrl = `http://127.0.0.1:${apiPort}`;
    const ports = ['--api-port', String(apiPort), '--dispatcher-port', String(dispatcherPort)];
    apiKey = (await mpcsfaas('init', directory, ...ports)).trim();
    start(['up', '--config', files.config], { WORKERS: '1', SLOTS: '2' });
    await eventually('the platform is up', has('local.worker-1', 'ready'), 120_000);
    const payload = await python.pickleFunction('def f(x):\n    print(x)\n    return x + 1', 'f');
    functionId = (await call<{ function_id: string }>('POST', '/register_function', { name: 'f', payload }))
      .function_id;
  });
  after(async () => {
    for (const child of processes.reverse()) {
      child.kill('SIGTERM');
      if (child.exitCode === null && child.signalCode === null)
        await new Promise((resolve) => child.once('exit', resolve));
    }
    await python.stop();
    rmSync(parent, { recursive: true, force: true });
  });

  it('serves everything that a platform has, each actor as its own user, and nobody is denied anything', async () => {
    expect(await compute(50)).to.deep.equal(Array.from({ length: 50 }, (_, n) => n + 1));
    expect(await compute(5, { delay_s: 0.2, priority: 'high', retry: { max_retries: 1 } })).to.deep.equal([
      1, 2, 3, 4, 5,
    ]);
    const payloads = [await python.pickleArguments([1])];
    const first = await call<{ task_ids: string[]; group_id: string }>('POST', '/tasks', {
      function_id: functionId,
      payloads,
    });
    const after = { function_id: functionId, payloads, depends_on: first.task_ids };
    const { task_ids } = await call<{ task_ids: string[] }>('POST', '/tasks', after);
    await call('POST', '/results', { task_ids, wait: 30 });
    const seen = await Promise.all(
      [
        `/tasks/${task_ids[0]}`,
        `/tasks/${task_ids[0]}/logs`,
        `/groups/${first.group_id}`,
        '/tasks?status=COMPLETED',
        '/functions',
        `/functions/${functionId}`,
        '/dispatchers',
        '/stats',
      ].map((path) => call<{ code?: string }>('GET', path)),
    );
    for (const answer of seen) expect(answer.code).to.equal(undefined);
    const late = await call<{ task_ids: string[] }>('POST', '/tasks', {
      function_id: functionId,
      payloads,
      delay_s: 60,
    });
    await call('POST', '/tasks/cancel', { task_ids: late.task_ids });
    const denied = await (async () => {
      const admin = redisAs('admin');
      const entries = (await admin.call('ACL', 'LOG')) as unknown[];
      admin.disconnect();
      return entries;
    })();
    expect(denied).to.deep.equal([]);
    expect(log('nats')).not.to.match(/Permissions Violation|Authorization Violation|authentication error/i);
  });

  it('gives nothing to who has no credentials', async () => {
    expect(await refusals(redisAs(undefined), [['PING'], ['GET', 'event-seal']])).to.match(/NOAUTH.*NOAUTH/);
    const nats = await natsUrl();
    const error = await connectNats({ servers: nats, reconnect: false }).then(() => 'connected', String);
    expect(error).to.match(/Authorization Violation/i);
    expect((await fetch(`${apiUrl}/workers`, { headers: { connection: 'close' } })).status).to.equal(401);
  });

  for (const role of ['api', 'dispatcher', 'monitor'] as const) {
    it(`keeps the ${role} from what it does not need in Redis`, async () => {
      const forbidden = [
        ['CONFIG', 'GET', '*'],
        ['FLUSHALL'],
        ['FLUSHDB'],
        ['KEYS', '*'],
        ['SCAN', '0'],
        ['DEBUG', 'SLEEP', '0'],
        ['SHUTDOWN', 'NOSAVE'],
        ['ACL', 'LIST'],
        ['SCRIPT', 'FLUSH'],
        ['MONITOR'],
        ['CLIENT', 'KILL', 'TYPE', 'normal'],
        ['SUBSCRIBE', 'x'],
        ...(role === 'api'
          ? []
          : [
              ['HGETALL', 'api-keys'],
              ['GET', 'something-else'],
              ['EVAL', 'return redis.call("HGETALL", "api-keys")', '0'],
              ['HSET', `function:${functionId}`, 'payload', 'evil'],
            ]),
      ];
      const answers = await refusals(redisAs(role), forbidden);
      answers.forEach((answer, at) =>
        expect(answer, forbidden[at]!.join(' ')).to.match(
          /NOPERM|ACL failure|DEBUG command not allowed|The user executing the script/,
        ),
      );
    });
  }

  it('lets a role send and hear over NATS what it needs, and nothing else', async () => {
    const violations: string[] = [];
    const seed = readCredentials(files.credentials).nats.monitor[0]!.secret;
    const authenticator = nkeyAuthenticator(new TextEncoder().encode(seed));
    const connection = await connectNats({ servers: await natsUrl(), authenticator, reconnect: false });
    void (async () => {
      for await (const status of connection.status()) violations.push(JSON.stringify(status));
    })();
    connection.publish('mpcsfaas.dispatcher.drain', StringCodec().encode('{}'));
    connection.subscribe('mpcsfaas.>', { callback: (error) => error && violations.push(error.message) });
    await eventually('both are refused', () => violations.join().includes('dispatcher.drain') && violations.length > 1);
    await connection.close();
  });

  it('runs a worker of another machine by its token, and loses nothing when it is revoked', async () => {
    const token = (await mpcsfaas('worker-token', 'ada', '--config', files.config)).trim();
    const ada = start(['worker', '1', '--label', 'ada'], { WORKER_TOKEN: token });
    await eventually('ada has joined', has('ada', 'ready'), 60_000);
    expect(await compute(3, { labels: ['ada'] })).to.deep.equal([1, 2, 3]);
    const slow = await python.pickleFunction(LONG_AT_FIRST, 'f');
    const { function_id } = await call<{ function_id: string }>('POST', '/register_function', {
      name: 'slow',
      payload: slow,
    });
    const sleeps = { function_id, payloads: [await python.pickleArguments([join(directory, 'begun')])] };
    await call('POST', '/workers/local.worker-1/drain'); // So that ada has it.
    await eventually('the local worker has left', async () => !(await has('local.worker-1', 'ready')()), 30_000);
    const { task_ids } = await call<{ task_ids: string[] }>('POST', '/tasks', sleeps);
    const states = async (): Promise<string> => (await call<{ state: string }>('GET', `/tasks/${task_ids[0]}`)).state;
    await eventually('it runs', async () => (await states()) === 'running', 20_000);
    await mpcsfaas('worker-revoke', 'ada', '--config', files.config);
    await eventually('the task was taken from it', async () => (await states()) === 'queued', 20_000);
    await eventually('ada knows', () => ada.output().includes('not let in by the dispatcher'), 30_000);
    expect(log('dispatcher')).to.include('shut out');
    const bob = (await mpcsfaas('worker-token', 'bob', '--config', files.config)).trim();
    start(['worker', '2'], { WORKER_TOKEN: bob });
    const { results } = await call<{ results: { status: string }[] }>('POST', '/results', { task_ids, wait: 60 });
    expect(results[0]?.status).to.equal('COMPLETED');
    ada.child.kill('SIGKILL'); // It would run what it has to the end.
  });

  it('changes all its keys and credentials while tasks flow', async () => {
    const before = { ...readConfigFile(files.config) };
    const flowing = new AbortController();
    let rounds = 0;
    const flow = (async () => {
      while (!flowing.signal.aborted) {
        expect(await compute(20)).to.deep.equal(Array.from({ length: 20 }, (_, n) => n + 1));
        rounds++;
      }
    })();
    await mpcsfaas('rotate', '--overlap', '10s', '--config', files.config);
    const token = (await mpcsfaas('worker-token', 'carl', '--config', files.config)).trim();
    start(['worker', '1', '--label', 'carl'], { WORKER_TOKEN: token });
    await eventually('a worker joins with the new key', has('carl', 'ready'), 60_000);
    await eventually('the old key has retired', () => log('dispatcher').includes('the old key has retired'), 60_000);
    expect(await compute(3, { labels: ['carl'] })).to.deep.equal([1, 2, 3]);
    flowing.abort();
    await flow;
    expect(rounds).to.be.greaterThan(1);
    const after = readConfigFile(files.config);
    for (const name of ['REDIS_PASSWORD_API', 'NATS_NKEY_MONITOR']) expect(after[name]).not.to.equal(before[name]);
    const [newest, old] = readDispatcherKeys(files.dispatcherKeys);
    expect(newest!.port).not.to.equal(old!.port);
    // The old password is good for nothing any more, the new one is.
    const path = new URL(redisSocket(join(directory, 'data', 'redis')) ?? '').pathname;
    const stale = new Redis({
      path,
      username: 'api',
      password: before['REDIS_PASSWORD_API'] ?? '',
      retryStrategy: () => null,
      enableReadyCheck: false,
    });
    stale.on('error', () => undefined);
    expect(await stale.ping().catch(String)).not.to.equal('PONG');
    stale.disconnect();
    const fresh = redisAs('api');
    expect(await fresh.ping()).to.equal('PONG');
    fresh.disconnect();
  });

  async function natsUrl(): Promise<string> {
    const line = /Listening for client connections on (127\.0\.0\.1:\d+)/.exec(log('nats'));
    return `nats://${line?.[1] ?? ''}`;
  }
});
