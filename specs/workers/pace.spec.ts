import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PoolFixture, runtimesOf } from './support/poolFixture.js';
import { PythonClient } from './support/pythonClient.js';

const TASKS = 20_000;
const TICK_US = 10_000;

/** User and system time of a process so far, us. */
function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

describe('the pace of one Python process', () => {
  it(`runs ${TASKS} no-ops below 30 us of Python's CPU each`, async function () {
    this.timeout(20_000);
    const client = new PythonClient();
    const fixture = new PoolFixture(client, { slots: 1 });
    try {
      await fixture.pool.start();
      const template = await fixture.order('def f(x):\n    return x', '((5,), {})');
      const order = (): typeof template => ({ ...template, taskId: randomUUID() });
      await fixture.runAll(Array.from({ length: 1_000 }, order));
      const [pid] = runtimesOf(process.pid);
      const orders = Array.from({ length: TASKS }, order);
      const pythonUs = cpuUs(pid!);
      const node = process.cpuUsage();
      const beginMs = performance.now();
      await fixture.runAll(orders);
      const seconds = (performance.now() - beginMs) / 1000;
      const perTask = (cpuUs(pid!) - pythonUs) / TASKS;
      const { user, system } = process.cpuUsage(node);
      // eslint-disable-next-line no-console -- the figure is what this spec is for
      console.log(
        `      Python ${perTask.toFixed(1)} us, Node ${((user + system) / TASKS).toFixed(1)} us of CPU per task; ${Math.round(TASKS / seconds)} tasks/s`,
      );
      expect(perTask).to.be.lessThan(30);
    } finally {
      await fixture.pool.stop(0);
      client.close();
    }
  });
});
