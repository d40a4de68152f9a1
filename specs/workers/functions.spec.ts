import { expect } from 'chai';
import { PoolFixture } from './support/poolFixture.js';
import { PythonClient } from './support/pythonClient.js';

const source = (n: number): string => `def f():\n    import time\n    time.sleep(0.05)\n    return ${n}`;

describe('the functions of a Python pool', () => {
  let client: PythonClient;
  before(() => (client = new PythonClient()));
  after(() => client.close());

  it('are forgotten when there are too many, the least recently used first, though their tasks run', async () => {
    const bodies = await Promise.all([0, 1, 2].map((n) => client.function(source(n))));
    const fixture = new PoolFixture(client, { slots: 1, maxFunctionBytes: bodies[0]!.length + bodies[1]!.length });
    await fixture.pool.start();
    try {
      const orders = [await fixture.order(source(0)), await fixture.order(source(1))];
      const done = fixture.runAll([
        ...orders,
        ...orders.map((order) => ({ ...order, taskId: `${order.taskId} again` })),
      ]);
      fixture.pool.run([{ ...orders[0]!, taskId: 'to use it' }]);
      fixture.pool.addFunction(source(2), bodies[2]!);
      expect(fixture.pool.functionIds()).to.deep.equal([source(0), source(2)]);
      expect((await done).map(({ outcome }) => outcome)).to.deep.equal(Array(4).fill('completed'));
      const [result] = await fixture.runAll([{ ...orders[1]!, fence: '2-x' }]);
      expect(result?.failure?.message).to.contain('the worker lacks function');
    } finally {
      await fixture.pool.stop(0);
    }
  });
});
