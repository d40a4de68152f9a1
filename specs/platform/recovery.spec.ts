import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { type SpecActor, type SpecPlatform, startPlatform } from '../support/platform.js';
import { isAlive, runtimesOf } from '../support/processTable.js';
import { PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

/** Short times, so that recovery can be watched; the proportions are those of the defaults. */
const QUICK = { LEASE_MS: '15000', HEARTBEAT_MS: '300', REAP_MS: '200' };

/** Notes its start and its process in a file, then takes its time. */
const NOTED = `
def f(journal, number, seconds):
    import os, time
    with open(journal, "a") as file:
        file.write(f"{number} {os.getpid()}\\n")
    time.sleep(seconds)
    return number * 10
`;

/** Ends its own process in each of its first \`deaths\` attempts. */
const DYING = `
def f(journal, deaths):
    import os, signal
    with open(journal, "a") as file:
        file.write(f"0 {os.getpid()}\\n")
    with open(journal) as file:
        starts = len(file.readlines())
    if starts <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return starts
`;

const ENDLESS = `
def f(journal):
    import os
    with open(journal, "a") as file:
        file.write(f"0 {os.getpid()}\\n")
    while True:
        pass
`;

describe('A platform whose processes are killed', function () {
  this.timeout(30_000);
  let platform: SpecPlatform;
  let python: PythonClient;
  let client: TaskClient;
  let journals = 0;

  before(async () => {
    python = new PythonClient();
    platform = await startPlatform({ workers: 2, env: QUICK });
    client = new TaskClient(platform, python);
  });
  after(async () => {
    await platform.stop();
    await python.stop();
  });
  // Every spec finds all actors running.
  afterEach(async () => {
    const { api, monitor, dispatcher, workers } = platform;
    for (const actor of [api, monitor, dispatcher, ...workers]) if (!actor.running) await actor.restart();
    await eventually('both workers have joined', async () => {
      const { workers: joined } = (await platform.call('GET', '/workers')).body as { workers: { state: string }[] };
      return joined.filter(({ state }) => ['ready', 'busy'].includes(state)).length >= 2;
    });
  });

  const newJournal = (): string => join(platform.redis.directory, `journal-${journals++}`);

  /** Which tasks were started, in order, and in which processes. */
  function startsIn(journal: string): { number: number; pid: number }[] {
    try {
      const lines = readFileSync(journal, 'utf8').trim().split('\n');
      return lines.map((line) => {
        const [number, pid] = line.split(' ').map(Number);
        return { number: number!, pid: pid! };
      });
    } catch {
      return [];
    }
  }

  async function submitNoted(count: number, seconds: number): Promise<{ journal: string; ids: string[] }> {
    const journal = newJournal();
    const calls = Array.from({ length: count }, (_, number) => [journal, number, seconds]);
    return { journal, ids: await client.submit(NOTED, calls) };
  }

  const started = (journal: string, count: number): Promise<void> =>
    eventually(`${count} tasks have started`, () => startsIn(journal).length >= count);

  async function expectValues(ids: string[]): Promise<void> {
    const results = await client.results(ids);
    expect(results.map(({ repr }) => repr)).to.deep.equal(ids.map((_, number) => String(number * 10)));
  }

  /** Numbers of the tasks that were started more than once. */
  function startedAgain(journal: string): number[] {
    const counts = new Map<number, number>();
    for (const { number } of startsIn(journal)) counts.set(number, (counts.get(number) ?? 0) + 1);
    return [...counts].filter(([, count]) => count > 1).map(([number]) => number);
  }

  /** Those of the tasks that the worker's own processes have started. */
  function startedBy(worker: SpecActor, journal: string): number[] {
    const own = runtimesOf(worker.pid);
    return startsIn(journal)
      .filter(({ pid }) => own.includes(pid))
      .map(({ number }) => number);
  }

  it('runs the tasks of a killed worker on the other one, and only those again', async () => {
    const { journal, ids } = await submitNoted(4, 1);
    await started(journal, 4);
    const [victim] = platform.workers;
    const lost = startedBy(victim!, journal);
    expect(lost.length).to.equal(2);
    await victim!.kill('SIGKILL');
    await expectValues(ids);
    expect(startedAgain(journal).sort()).to.deep.equal(lost.sort());
    const story = await client.story(ids[lost[0]!]!);
    expect(story.attempts).to.equal(2);
    expect(story.history.map(({ event }) => event)).to.include('task.interrupted');
  });

  it('tries a task again whose Python process was killed', async () => {
    const journal = newJournal();
    const id = await client.submitOne(DYING, [journal, 2]);
    expect((await client.result(id)).repr).to.equal('3');
    expect((await client.story(id)).attempts).to.equal(3);
  });

  it('gives a task up that kills its process in every attempt, and names the signal', async () => {
    const journal = newJournal();
    const id = await client.submitOne(DYING, [journal, 100]);
    const result = await client.result(id);
    expect(result).to.deep.include({ status: 'FAILED', isException: true });
    expect(result.text).to.match(/^ProcessCrashed: .*SIGKILL/);
    expect(startsIn(journal).length).to.equal(3);
    const { failure, attempts, status } = await client.story(id);
    expect({ attempts, status, signal: failure?.signal }).to.deep.equal({
      attempts: 3,
      status: 'FAILED',
      signal: 'SIGKILL',
    });
  });

  it('runs on when the dispatcher is killed, and nothing twice when it comes back within the lease', async () => {
    const { journal, ids } = await submitNoted(12, 0.5);
    await started(journal, 4);
    await platform.dispatcher.kill('SIGKILL');
    await platform.dispatcher.restart();
    await expectValues(ids);
    expect(startedAgain(journal)).to.deep.equal([]);
  });

  it('ends all tasks though the monitor was killed and, after it, a worker', async () => {
    const { journal, ids } = await submitNoted(8, 0.4);
    await started(journal, 4);
    await platform.monitor.kill('SIGKILL');
    await platform.workers[1]!.kill('SIGKILL');
    await platform.monitor.restart();
    await expectValues(ids);
  });

  it('keeps what it accepted when the API is killed', async () => {
    const { ids } = await submitNoted(12, 0.3);
    await platform.api.kill('SIGKILL');
    await platform.api.restart();
    await expectValues(ids);
  });

  it('keeps tasks until a dispatcher comes', async () => {
    await platform.dispatcher.stop();
    const { journal, ids } = await submitNoted(3, 0);
    expect(await client.status(ids[0]!)).to.equal('QUEUED');
    await platform.dispatcher.restart();
    await expectValues(ids);
    expect(startedAgain(journal)).to.deep.equal([]);
  });

  it('keeps tasks until a worker comes', async () => {
    await Promise.all(platform.workers.map((worker) => worker.stop()));
    const { ids } = await submitNoted(3, 0);
    // A worker that has just left may have been given one of them.
    await eventually('they wait', async () => (await client.status(ids[0]!)) === 'QUEUED');
    await Promise.all(platform.workers.map((worker) => worker.restart()));
    await expectValues(ids);
  });

  it('cancels an endless loop, and its slot serves the next task', async () => {
    const journal = newJournal();
    const id = await client.submitOne(ENDLESS, [journal]);
    await started(journal, 1);
    const { pid } = startsIn(journal)[0]!;
    await client.cancel(id);
    expect(await client.status(id)).to.equal('CANCELLED');
    await eventually('its process is gone', () => !isAlive(pid), 5_000);
    const { ids } = await submitNoted(8, 0);
    await expectValues(ids);
  });

  it('drains a worker on SIGTERM: what runs ends there, the rest elsewhere, nothing runs twice', async () => {
    const { journal, ids } = await submitNoted(10, 0.6);
    await started(journal, 4);
    const [worker] = platform.workers;
    const processes = runtimesOf(worker!.pid);
    const own = startedBy(worker!, journal);
    await worker!.kill('SIGTERM');
    expect(processes.filter(isAlive)).to.deep.equal([]);
    await expectValues(ids);
    expect(startedAgain(journal)).to.deep.equal([]);
    const stories = await Promise.all(own.map((number) => client.story(ids[number]!)));
    expect(stories.map(({ attempts }) => attempts)).to.deep.equal(own.map(() => 1));
  });

  it('leaves no Python process behind a killed supervisor', async () => {
    const journal = newJournal();
    const ids = await client.submit(ENDLESS, [[journal], [journal], [journal], [journal]]);
    await started(journal, 4);
    const [worker] = platform.workers;
    const processes = runtimesOf(worker!.pid);
    expect(processes.length).to.equal(2);
    await worker!.kill('SIGKILL');
    await eventually('they have vanished', () => !processes.some(isAlive), 2_000);
    await Promise.all(ids.map((id) => client.cancel(id)));
  });
});
