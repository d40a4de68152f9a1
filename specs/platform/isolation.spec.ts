import { expect } from 'chai';
import { eventuallyPasses } from '../support/eventually.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

const PROCESS = 'def f():\n    import os\n    return os.getpid()';

describe('The isolation of a task', function () {
  this.timeout(30_000);
  let platform: SpecPlatform;
  let python: PythonClient;
  let client: TaskClient;

  before(async () => {
    platform = await startPlatform({ slots: 1 });
    python = new PythonClient();
    client = new TaskClient(platform, python);
  });
  after(async () => {
    await python.stop();
    await platform.stop();
  });

  async function pids(ids: readonly string[]): Promise<unknown[]> {
    const results = await Promise.all(ids.map((id) => client.result(id)));
    return results.map(({ repr }) => repr);
  }

  it('is asked for with `fresh`, told by the task, and kept when it is run again', async () => {
    const warm = await pids(await client.submit(PROCESS, [[], [], []]));
    expect(new Set(warm).size).to.equal(1);
    const ids = await client.submit(PROCESS, [[], [], []], { isolation: 'fresh', timeout_s: 20 });
    const fresh = await pids(ids);
    expect(new Set([...warm, ...fresh]).size).to.equal(4);
    const { body } = await platform.call('GET', `/tasks/${ids[0]}`);
    expect(body).to.include({ isolation: 'fresh', timeout_s: 20 });
    const refused = await platform.call('POST', '/tasks', {
      function_id: await client.register(PROCESS),
      payloads: [],
      isolation: 'cold',
    });
    expect(refused.status).to.equal(422);
    const failed = await client.submitOne('def f():\n    raise ValueError', [], { isolation: 'fresh' });
    await client.result(failed);
    const again = (await platform.call('POST', `/tasks/${failed}/run_again`)).body as { task_id: string };
    expect((await platform.call('GET', `/tasks/${again.task_id}`)).body).to.include({ isolation: 'fresh' });
  });

  it('is told of each worker', async () => {
    // Its dispatcher writes down who is connected with each of its heartbeats.
    await eventuallyPasses(async () => {
      const { body } = await platform.call('GET', '/workers');
      const { workers } = body as { workers: { sandbox: string }[] };
      expect(workers.map(({ sandbox }) => sandbox)).to.deep.equal(['process']);
    });
  });
});
