import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { TenantUsage } from '../../bus/tenants.js';
import { MAIN } from '../../cli/actorProcess.js';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PYTHON } from '../support/python.js';

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Notes each answer to a submission, with its time, as urllib3 logs it. */
const PROGRAM = `
import logging, time, mpcsfaas
answers = []
class Notes(logging.Handler):
    def emit(self, record):
        line = record.getMessage()
        if '"POST /tasks' in line:
            answers.append((time.monotonic(), " 429 " in line))
logging.getLogger("urllib3.connectionpool").setLevel(logging.DEBUG)
logging.getLogger("urllib3.connectionpool").addHandler(Notes())
def nap(seconds):
    time.sleep(seconds)
    return seconds
def result(future):
    try:
        return future.result(60)
    except Exception as error:
        return type(error).__name__
`;
const PATIENT = `${PROGRAM}
with mpcsfaas.Client(timeout=60) as client:
    first = [client.submit(nap, 2) for _ in range(2)]
    time.sleep(0.5)
    second = [client.submit(nap, 1.0 + i / 100) for i in range(2)]
    time.sleep(0.3)
    print([result(one) for one in first + second])
refused = [at for at, is_refused in answers if is_refused]
pauses = [later - at for (at, is_refused), (later, _) in zip(answers, answers[1:]) if is_refused]
print(len(refused) > 0, min(pauses) >= 4.9, answers[-1][1])
`;
const IMPATIENT = `${PROGRAM}
with mpcsfaas.Client(timeout=2) as client:
    print(result(client.submit(nap, 0)))
`;

describe('Limits of a tenant', function () {
  this.timeout(120_000);
  let platform: SpecPlatform;
  let key: string;

  before(async () => {
    platform = await startPlatform({ env: { API_KEYS: 'required' } });
    const scopes = ['--scope', 'submit', '--scope', 'read'];
    key = (await mpcsfaas('key', 'create', '--tenant', 'team-a', ...scopes)).stdout.trim();
  });
  after(() => platform.stop());

  const run = (command: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
    new Promise((resolve) => {
      const { apiUrl, redis, dataDir } = platform;
      const all = { ...process.env, MPCSFAAS_URL: apiUrl, REDIS_URL: redis.url, DATA_DIR: dataDir, ...env };
      execFile(command, args, { env: all, timeout: 90_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  const mpcsfaas = (...args: string[]): Promise<Ended> => run(process.execPath, [MAIN, ...args]);
  const python = (program: string): Promise<Ended> =>
    run(PYTHON, ['-c', program], { PYTHONPATH: join(PACKAGE_ROOT, 'python'), MPCSFAAS_API_KEY: key });

  it('are set and shown by the command line', async () => {
    const wanted = ['--max-queued', '2', '--max-running', '7', '--max-retained-bytes', '50000'];
    const set = await mpcsfaas('tenant', 'set', 'team-a', ...wanted);
    expect(set).to.deep.equal({ code: 0, stdout: 'team-a: 2 queued, 7 running, 50000 kept bytes\n', stderr: '' });
    const other = await mpcsfaas('tenant', 'set', 'team-a', '--max-queued', '1', '--json');
    expect(JSON.parse(other.stdout)).to.deep.equal({
      tenant: 'team-a',
      limits: { maxWaiting: 1, maxRunning: 7, maxRetainedBytes: 50_000 },
      usage: { waiting: 0, waitingBytes: 0, running: 0, retainedBytes: 0 },
    });
    const listed = await mpcsfaas('tenant', 'list');
    expect(listed.stdout).to.match(/^TENANT +QUEUED +BYTES +RUNNING +KEPT BYTES +LIMITS OF ITS OWN\n/);
    expect(listed.stdout).to.match(/\nteam-a +0 +0 +0 +0 +1 queued, 7 running, 50000 kept bytes\n/);
    for (const wrong of [['default', '--max-queued', '1'], ['A B'], ['team-a', '--max-retained-bytes', '1MB']])
      expect((await mpcsfaas('tenant', 'set', ...wrong)).code).to.equal(2);
  });

  it('are obeyed by the Python client: it comes back when the 429 has said, and in the end all is done', async () => {
    await mpcsfaas('tenant', 'set', 'team-a', '--max-queued', '2', '--max-running', '1');
    const { stdout, stderr } = await python(PATIENT);
    expect(stdout, stderr).to.equal('[2, 2, 1.0, 1.01]\nTrue True False\n');
    const [line] = (await mpcsfaas('tenant', 'list', '--json')).stdout.split('\n');
    const { usage } = JSON.parse(line!) as { usage: TenantUsage };
    expect(usage).to.include({ waiting: 0, waitingBytes: 0, running: 0 });
    expect(usage.retainedBytes).to.be.within(4 * 256, 4 * 1_000);
  });

  it('are said to who has not the time to wait', async () => {
    await mpcsfaas('tenant', 'set', 'team-a', '--max-queued-bytes', '1');
    expect((await python(IMPATIENT)).stdout).to.equal('PlatformUnreachable\n');
  });
});
