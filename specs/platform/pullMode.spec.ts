import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { cpuMs, runtimesOf } from '../support/processTable.js';
import { PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

const IDLE_MS = 3000;
/** Of one core. A worker that asked again every few milliseconds would need several times this. */
const IDLE_CPU_SHARE = 0.03;
const SEQUENTIAL_TASKS = 100;
/** From the claim to the call of the function, in a parked worker; it takes 1-3 ms on an idle machine, which this may not be. */
const TYPICAL_START_MS = 15;
const SLOW_START_MS = 100;

describe('Pull mode', function () {
  this.timeout(30_000);
  let platform: SpecPlatform;
  let python: PythonClient;
  let client: TaskClient;

  before(async () => {
    python = new PythonClient();
    platform = await startPlatform({ mode: 'pull', workers: 2 });
    client = new TaskClient(platform, python);
    await client.result(await client.submitOne('def f():\n    return 1'));
  });
  after(async () => {
    await platform.stop();
    await python.stop();
  });

  it('costs idle workers next to no processor time', async () => {
    const pids = platform.workers.flatMap(({ pid }) => [pid, ...runtimesOf(pid)]);
    const usedMs = (): number => pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
    const beforeMs = usedMs();
    await sleep(IDLE_MS);
    expect((usedMs() - beforeMs) / IDLE_MS / platform.workers.length).to.be.lessThan(IDLE_CPU_SHARE);
  });

  it('hands a parked request its task in milliseconds', async () => {
    const delaysMs: number[] = [];
    for (let task = 0; task < SEQUENTIAL_TASKS; task++) {
      const id = await client.submitOne('def f():\n    import time\n    return time.time() * 1000');
      const calledMs = Number((await client.result(id)).repr);
      const { history } = await client.story(id);
      const claimed = history.find(({ event }) => event === 'task.claimed');
      delaysMs.push(calledMs - claimed!.at_ms);
    }
    delaysMs.sort((a, b) => a - b);
    expect(delaysMs[SEQUENTIAL_TASKS / 2]).to.be.lessThan(TYPICAL_START_MS);
    expect(delaysMs[SEQUENTIAL_TASKS * 0.95]).to.be.lessThan(SLOW_START_MS);
  });
});
