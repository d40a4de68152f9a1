import { expect } from 'chai';
import { type SpecActor, type SpecPlatform, startPlatform } from '../support/platform.js';
import { eventuallyPasses } from '../support/eventually.js';
import { PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

const SECRET = 'correct-horse-battery-staple';

describe('log lines of a platform', function () {
  this.timeout(60_000);
  let platform: SpecPlatform;
  let python: PythonClient;
  let client: TaskClient;
  before(async () => {
    platform = await startPlatform({ env: { LOG_LEVEL: 'trace' } });
    python = new PythonClient();
    client = new TaskClient(platform, python);
  });
  after(async () => {
    await python.stop();
    await platform.stop();
  });

  const actors = (): SpecActor[] => [platform.api, platform.dispatcher, platform.monitor, ...platform.workers];
  const lines = (actor: SpecActor): Record<string, unknown>[] =>
    actor
      .log()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it('tell nothing of arguments, results, exceptions and what functions print, at any level', async () => {
    const ids = [
      await client.submitOne('def f(x):\n    return x + x', [SECRET]),
      await client.submitOne('def f(x):\n    raise ValueError(x)', [SECRET]),
      await client.submitOne('def f(x):\n    print(x)\n    import os\n    os.abort()', [SECRET], { max_attempts: 1 }),
      await client.submitOne(
        'def f(x):\n    class Own(Exception):\n        def __reduce__(self):\n            raise TypeError(x)\n    raise Own(x)',
        [SECRET],
      ),
      await client.submitOne(`def f():\n    return {'${SECRET}': lambda: open('/nothing')}, open('/dev/null')`),
    ];
    await client.results(ids, 30_000);
    await platform.call('POST', '/execute_function', { function_id: 'x', payload: SECRET });
    await eventuallyPasses(() => {
      for (const id of ids) expect(platform.dispatcher.log()).to.include(`"id":"${id}","from":"running"`);
    });
    for (const actor of actors()) {
      expect(actor.log().length, actor.name).to.be.greaterThan(100);
      expect(actor.log(), actor.name).to.not.include(SECRET);
      expect(actor.log(), actor.name).to.not.include(Buffer.from(SECRET).toString('base64').slice(4, 20));
    }
  });

  it('name the request that submitted a task, and the task that a request was about', async () => {
    const payload = await python.pickleArguments([1]);
    const function_id = await client.register('def f(n):\n    return n');
    const response = await fetch(`${platform.apiUrl}/tasks`, {
      method: 'POST',
      headers: { connection: 'close', 'content-type': 'application/json', 'x-request-id': 'from-my-client' },
      body: JSON.stringify({ function_id, payloads: [payload] }),
    });
    const [taskId] = ((await response.json()) as { task_ids: string[] }).task_ids;
    await eventuallyPasses(() => {
      const submitted = lines(platform.api).find(({ id, to }) => id === taskId && to === 'queued');
      expect(submitted).to.include({ machine: 'task', event: 'task.submitted', requestId: 'from-my-client' });
      const answered = lines(platform.api).find(
        ({ msg, requestId }) => msg === 'request' && requestId === 'from-my-client',
      );
      expect(answered).to.include({ method: 'POST', status: 200 });
    });
    await platform.call('GET', `/tasks/${taskId!}`);
    await eventuallyPasses(() => {
      const asked = lines(platform.api).find((line) => line['taskId'] === taskId);
      expect(asked).to.include({ msg: 'request', method: 'GET', status: 200 });
      expect(asked!['requestId']).to.be.a('string');
    });
  });

  it('are objects where nobody said how, and no terminal shows them', async () => {
    const monitor = await platform.addActor('monitor-2', ['monitor'], { LOG_FORMAT: '' });
    await eventuallyPasses(() => {
      expect(lines(monitor).map(({ actor }) => actor)).to.include('monitor');
    });
  });
});
