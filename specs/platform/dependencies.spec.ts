import { expect } from 'chai';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

const ADD = 'def f(a, b=1):\n    return a + b';
const SUM = 'def f(*values):\n    return sum(values)';
const FAIL = 'def f():\n    raise ValueError("no")';
const CHAIN = 200;
/** As many as a task may have. */
const FAN_IN = 1_000;

for (const shards of [1, 3]) {
  describe(`Tasks that depend on others (${shards} shard(s))`, function () {
    this.timeout(120_000);
    let platform: SpecPlatform;
    let python: PythonClient;
    let client: TaskClient;

    before(async () => {
      platform = await startPlatform({ env: { SHARDS: String(shards) } });
      python = new PythonClient();
      client = new TaskClient(platform, python);
    });
    after(async () => {
      await python.stop();
      await platform.stop();
    });

    /** Runs `f(*values of the tasks)`. */
    async function submitOn(source: string, ids: readonly string[], more: object = {}): Promise<string> {
      const function_id = await client.register(source);
      const answer = await platform.call('POST', '/execute_function', {
        function_id,
        payload: await python.pickleReferences(ids),
        depends_on: ids,
        ...more,
      });
      if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
      return (answer.body as { task_id: string }).task_id;
    }

    it(`pass their values along a chain of ${CHAIN}`, async () => {
      let id = await client.submitOne('def f():\n    import time\n    time.sleep(0.5)\n    return 0');
      const began = Date.now();
      for (let link = 0; link < CHAIN; link++) id = await submitOn(ADD, [id]);
      expect((await client.result(id, 60_000)).repr).to.equal(String(CHAIN));
      expect(Date.now() - began).to.be.lessThan(30_000);
    });

    it('fail in words when their arguments refer to a task that they do not depend on', async () => {
      const [named, unnamed] = await client.submit(ADD, [[1], [2]]);
      const function_id = await client.register(SUM);
      const payload = await python.pickleReferences([named!, unnamed!]);
      const answer = await platform.call('POST', '/execute_function', { function_id, payload, depends_on: [named] });
      const { task_id } = answer.body as { task_id: string };
      const failed = await client.result(task_id, 20_000);
      expect(failed).to.include({ status: 'FAILED', isException: true });
      expect(failed.text).to.contain(unnamed!);
      expect((await client.story(task_id)).failure).to.include({ type: 'DeserializationError' });
    });

    it(`take the values of ${FAN_IN} at once`, async () => {
      const ids = await client.submit(
        ADD,
        Array.from({ length: FAN_IN }, (_, index) => [index, 0]),
      );
      const id = await submitOn(SUM, ids);
      expect((await client.result(id, 60_000)).repr).to.equal(String((FAN_IN * (FAN_IN - 1)) / 2));
      const story = (await platform.call('GET', `/tasks/${id}`)).body as { depends_on: string[] };
      expect(story.depends_on).to.deep.equal(ids);
    });

    it('fail with what they depend on, to the last of them', async () => {
      const first = await client.submitOne('def f():\n    import time\n    time.sleep(1)\n    raise ValueError("no")');
      const ids = [first];
      for (let link = 0; link < 5; link++) ids.push(await submitOn(ADD, [ids.at(-1)!]));
      const results = await client.results(ids);
      expect(results.map(({ status }) => status)).to.deep.equal(ids.map(() => 'FAILED'));
      expect(results[5]!.text).to.match(/^DependencyFailed: task \S+, which it depends on, failed$/);
      expect((await client.story(ids[5]!)).failure!.type).to.equal('DependencyFailed');
    });

    it('fail when what they depend on is cancelled, or has failed before', async () => {
      const slow = await client.submitOne('def f():\n    import time\n    time.sleep(60)');
      const waiting = await submitOn(ADD, [slow]);
      expect((await client.story(waiting)).state).to.equal('blocked');
      await client.cancel(slow);
      expect((await client.result(waiting)).text).to.contain('was cancelled');
      const failed = await client.submitOne(FAIL);
      await client.result(failed);
      expect((await client.result(await submitOn(ADD, [failed]))).status).to.equal('FAILED');
    });

    it('are cancelled while they wait', async () => {
      const slow = await client.submitOne('def f():\n    import time\n    time.sleep(60)');
      const waiting = await submitOn(ADD, [slow]);
      await client.cancel(waiting);
      expect(await client.status(waiting)).to.equal('CANCELLED');
      await client.cancel(slow);
    });

    it('are refused when there is no such task, or when they refer to values without saying so', async () => {
      const unknown = '00000000-0000-4000-8000-000000000000';
      const function_id = await client.register(ADD);
      const payload = await python.pickleArguments([1]);
      const answer = await platform.call('POST', '/tasks', { function_id, payloads: [payload], depends_on: [unknown] });
      expect(answer.status).to.equal(404);
      expect((answer.body as { detail: string }).detail).to.contain(unknown);
      const error = await submitOn(ADD, [await client.submitOne(ADD, [1])], { depends_on: [] }).catch(String);
      expect(error).to.contain('PAYLOAD_NOT_PICKLE').and.contain('depends_on');
    });

    it('survive the crash of the dispatcher in the middle', async () => {
      const slow = await client.submit('def f(x):\n    import time\n    time.sleep(1)\n    return x', [[1], [2], [3]]);
      const sum = await submitOn(SUM, slow);
      const last = await submitOn(ADD, [sum]);
      await platform.dispatcher.kill('SIGKILL');
      await platform.dispatcher.restart();
      expect((await client.result(last, 40_000)).repr).to.equal('7');
    });
  });
}
