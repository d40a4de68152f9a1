import { expect } from 'chai';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

/** Notes the time of each call in a file; raises the class until it has been called often enough. */
const FLAKY = `
def f(path, calls, name):
    import builtins, time
    class Busy(ConnectionError):
        pass
    with open(path, "a") as file:
        file.write(f"{time.time()}\\n")
    with open(path) as file:
        made = len(file.readlines())
    if made < calls:
        raise (Busy if name == "Busy" else getattr(builtins, name))(f"call {made}")
    return made
`;

describe('Retrying what raised an exception, on a whole platform', function () {
  this.timeout(30_000);
  const folder = mkdtempSync(join(tmpdir(), 'retrying-'));
  let platform: SpecPlatform;
  let python: PythonClient;
  let client: TaskClient;

  before(async () => {
    platform = await startPlatform();
    python = new PythonClient();
    client = new TaskClient(platform, python);
  });
  after(async () => {
    await python.stop();
    await platform.stop();
    rmSync(folder, { recursive: true });
  });

  const timesOf = (file: string): number[] => readFileSync(join(folder, file), 'utf8').trim().split('\n').map(Number);

  it('calls again after growing delays, until the function returns', async () => {
    const retry = { max_retries: 5, backoff_s: 0.2, backoff_factor: 2, jitter: 0, on: ['ConnectionError'] };
    const id = await client.submitOne(FLAKY, [join(folder, 'returns'), 4, 'Busy'], { retry, max_attempts: 1 });
    expect(await client.result(id)).to.include({ status: 'COMPLETED', repr: '4' });
    const times = timesOf('returns');
    const gaps = times.slice(1).map((time, index) => time - times[index]!);
    [0.2, 0.4, 0.8].forEach((delay, index) => expect(gaps[index], `gap ${index}`).to.be.within(delay, delay + 0.6));
    const { history } = await client.story(id);
    const retried = history.filter(({ event }) => event === 'task.retried').map(({ detail }) => detail);
    expect(retried).to.have.length(3);
    [200, 400, 800].forEach((ms, index) =>
      expect(retried[index]).to.match(new RegExp(`^on \\S+: Busy, next attempt in ${ms} ms$`)),
    );
  });

  it('gives the last exception when the retries are spent', async () => {
    const id = await client.submitOne(FLAKY, [join(folder, 'spent'), 9, 'KeyError'], {
      retry: { max_retries: 2, backoff_s: 0.05, jitter: 1 },
    });
    expect(await client.result(id)).to.include({ status: 'FAILED', type: 'builtins.KeyError', text: "'call 3'" });
    expect(timesOf('spent')).to.have.length(3);
  });

  it('takes other exceptions, and what is none, for the answer', async () => {
    const named = { retry: { max_retries: 5, backoff_s: 0.05, on: ['ConnectionError'] } };
    const any = { retry: { max_retries: 5, backoff_s: 0.05 } };
    const other = await client.submitOne(FLAKY, [join(folder, 'other'), 9, 'ValueError'], named);
    const exit = await client.submitOne(FLAKY, [join(folder, 'exit'), 9, 'SystemExit'], any);
    const results = await client.results([other, exit]);
    expect(results.map(({ status, type }) => [status, type])).to.deep.equal([
      ['FAILED', 'builtins.ValueError'],
      ['FAILED', 'builtins.SystemExit'],
    ]);
    expect([timesOf('other').length, timesOf('exit').length]).to.deep.equal([1, 1]);
  });
});
