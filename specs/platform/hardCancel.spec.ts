import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { isAlive } from '../support/processTable.js';
import { PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

const STOPPED_MS = 2_000;
const SERVED_MS = 1_000;

/** Each notes its process, and those it starts, in the journal, and does not come back. */
const STUBBORN: Record<string, string> = {
  'an endless loop': `
def f(journal):
    import os
    with open(journal, "a") as file:
        file.write(f"{os.getpid()}\\n")
    while True:
        pass
`,
  'one that ignores SIGTERM': `
def f(journal):
    import os, signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(journal, "a") as file:
        file.write(f"{os.getpid()}\\n")
    while True:
        pass
`,
  'one that blocks all signals it can, and swallows every exception': `
def f(journal):
    import os, signal, time
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    with open(journal, "a") as file:
        file.write(f"{os.getpid()}\\n")
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass
`,
  'one that spawned children, some in sessions of their own, from a thread, deaf to SIGTERM, or orphaned': `
def f(journal):
    import os, subprocess, threading, time
    def note(pid):
        with open(journal, "a") as file:
            file.write(f"{pid}\\n")
    note(subprocess.Popen(["sleep", "600"]).pid)
    note(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)
    deaf = "trap '' TERM; echo $$ >> " + journal + "; while true; do sleep 600; done"
    thread = threading.Thread(target=lambda: subprocess.Popen(["sh", "-c", deaf], start_new_session=True))
    thread.start()
    thread.join()
    subprocess.run(["sh", "-c", "setsid sh -c 'echo $$ >> " + journal + "; exec sleep 600' &"])
    note(os.getpid())
    time.sleep(0.3)
    while True:
        pass
`,
};

const NOTED = `
def f(journal, number, seconds):
    import os, time
    fd = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{number}\\n".encode())
    os.close(fd)
    if seconds:
        time.sleep(seconds)
    return number * 7
`;

/** Notes its number, and runs until the gate is there. */
const GATED = `
def f(journal, number, gate):
    import os, time
    with open(journal, "a") as file:
        file.write(f"{number}\\n")
    while not os.path.exists(gate):
        time.sleep(0.01)
    return number * 7
`;

describe('Cancelling a task that runs', function () {
  this.timeout(90_000);
  let platform: SpecPlatform;
  let python: PythonClient;
  let client: TaskClient;
  let journals = 0;

  before(async () => {
    python = new PythonClient();
    platform = await startPlatform({ workers: 2, slots: 2 });
    client = new TaskClient(platform, python);
  });
  after(async () => {
    await platform.stop();
    await python.stop();
  });

  const newJournal = (): string => join(platform.redis.directory, `cancel-${journals++}`);
  const numbersIn = (journal: string): number[] => {
    try {
      return readFileSync(journal, 'utf8').trim().split('\n').map(Number);
    } catch {
      return [];
    }
  };

  for (const [what, source] of Object.entries(STUBBORN)) {
    it(`stops ${what}, and its slot serves the next task`, async () => {
      const journal = newJournal();
      const expectedPids = what.includes('children') ? 5 : 1;
      // All slots are taken, so that the next tasks need those of the cancelled ones.
      const gate = newJournal();
      const neighbours = await client.submit(
        GATED,
        [0, 1, 2].map((n) => [newJournal(), n, gate]),
      );
      const id = await client.submitOne(source, [journal]);
      await eventually('it runs', () => numbersIn(journal).length >= expectedPids);
      if (expectedPids > 1) await sleep(350);
      const pids = numbersIn(journal);
      expect(pids.filter(isAlive).length).to.equal(expectedPids);
      const cancelledAt = performance.now();
      await client.cancel(id);
      const next = await client.submitOne(NOTED, [newJournal(), 6, 0]);
      expect((await client.result(next)).repr).to.equal('42');
      expect(performance.now() - cancelledAt).to.be.lessThan(SERVED_MS);
      await eventually('all its processes are gone', () => !pids.some(isAlive));
      expect(performance.now() - cancelledAt).to.be.lessThan(STOPPED_MS);
      expect(await client.result(id)).to.include({
        status: 'CANCELLED',
        type: 'concurrent.futures._base.CancelledError',
      });
      writeFileSync(gate, '');
      const others = await client.results(neighbours);
      expect(others.map(({ repr }) => repr)).to.deep.equal(['0', '7', '14']);
      for (const neighbour of neighbours) expect((await client.story(neighbour)).attempts).to.equal(1);
    });
  }

  it('of 1,000 at random under load touches no other task', async () => {
    const journal = newJournal();
    const count = 3_000;
    // Queued, running, just finishing: some take no time, some a while, a few would never end.
    const seconds = (n: number): number => (n % 25 === 0 ? 30 : n % 5 === 0 ? 0.01 : 0);
    const calls = Array.from({ length: count }, (_, n) => [journal, n, seconds(n)]);
    const beganAt = performance.now();
    const ids = await client.submit(NOTED, calls);
    // All that would not end, and others at random; the order is random too, so that they meet every moment of a task.
    const random = lcg(20_261);
    const chosen = new Set(ids.flatMap((_, n) => (n % 25 === 0 ? [n] : [])));
    while (chosen.size < 1_000) chosen.add(Math.floor(random() * count));
    const order = [...chosen].map((n) => ({ n, key: random() })).sort((a, b) => a.key - b.key);
    const cancelled = new Set<number>();
    for (let start = 0; start < order.length; start += 10) {
      await Promise.all(
        order.slice(start, start + 10).map(async ({ n }) => {
          const { body } = await platform.call('POST', `/tasks/${ids[n]}/cancel`);
          if ((body as { cancelled: boolean }).cancelled) cancelled.add(n);
        }),
      );
    }
    const results = await client.results(ids, 60_000);
    expect(performance.now() - beganAt).to.be.lessThan(60_000);
    const wrong = results.flatMap(({ status, repr }, n) => {
      const right = cancelled.has(n) ? status === 'CANCELLED' : status === 'COMPLETED' && repr === String(n * 7);
      return right ? [] : [`${n}: ${status} ${repr}`];
    });
    expect(wrong).to.deep.equal([]);
    expect(cancelled.size).to.be.greaterThan(300);
    const starts = new Map<number, number>();
    for (const n of numbersIn(journal)) starts.set(n, (starts.get(n) ?? 0) + 1);
    const others = ids.flatMap((_, n) => (cancelled.has(n) ? [] : [n]));
    expect(others.filter((n) => starts.get(n) !== 1).map((n) => `${n}: ${starts.get(n)} starts`)).to.deep.equal([]);
  });
});

function lcg(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
}
