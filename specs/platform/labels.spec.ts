import { expect } from 'chai';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PythonClient } from '../support/python.js';
import { until } from '../store/support/until.js';
import { TaskClient } from '../support/taskClient.js';

const SOURCE = 'def f():\n    import os\n    return os.environ["WHERE"]';

for (const mode of ['push', 'pull'] as const) {
  describe(`Workers with labels in ${mode} mode`, function () {
    this.timeout(30_000);
    let platform: SpecPlatform;
    let python: PythonClient;
    let client: TaskClient;

    before(async () => {
      python = new PythonClient();
      platform = await startPlatform({ mode, workers: 0 });
      client = new TaskClient(platform, python);
      await join('plain');
    });
    after(async () => {
      await platform.stop();
      await python.stop();
    });

    const join = (name: string, ...labels: string[]): Promise<unknown> =>
      platform.addActor(
        name,
        [
          `${mode}_worker`,
          '2',
          platform.dispatcherUrl,
          ...labels.flatMap((label) => ['--label', label]),
          '--env',
          'WHERE',
        ],
        { WHERE: name },
      );

    it('get the tasks that ask for them, also when they join later; the others go on meanwhile', async () => {
      const calls = Array.from({ length: 10 }, () => []);
      const labelled = await client.submit(SOURCE, calls, { labels: ['gpu'] });
      const plain = await client.submit(SOURCE, calls);
      for (const { repr } of await client.results(plain)) expect(repr).to.equal("'plain'");
      expect(await client.status(labelled[0]!)).to.equal('QUEUED');
      // Workers are told of with their first heartbeat, a second after they have joined.
      await until(async () => {
        const { waiting_for } = (await client.story(labelled[0]!)) as unknown as { waiting_for: { text: string } };
        return /^waits for a worker with the label gpu: .*none has gpu$/.test(waiting_for.text);
      });
      await join('fast', 'eu', 'gpu');
      for (const { repr } of await client.results(labelled)) expect(repr).to.equal("'fast'");
    });
  });
}
