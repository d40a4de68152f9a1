import { expect } from 'chai';
import { PythonClient } from '../support/python.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { TaskClient } from '../support/taskClient.js';
import { eventuallyPasses } from '../support/eventually.js';
import { sample, samplesOf, scrape } from '../support/scrape.js';

describe('metrics of a whole platform', () => {
  let platform: SpecPlatform;
  let python: PythonClient;
  let client: TaskClient;
  before(async function () {
    this.timeout(60_000);
    platform = await startPlatform({ env: { LOG_LEVEL: 'warn' } });
    python = new PythonClient();
    client = new TaskClient(platform, python);
  });
  after(async () => {
    await python.stop();
    await platform.stop();
  });

  it('has every process in one scrape, the worker as well, though it speaks to its dispatcher alone', async () => {
    await eventuallyPasses(async () => {
      const text = await scrape(platform.apiUrl);
      const up = samplesOf(text, 'mpcsfaas_up');
      expect(up.map(({ labels }) => labels['component']).sort()).to.deep.equal([
        'api',
        'dispatcher',
        'monitor',
        'worker',
      ]);
      expect(up.map(({ value }) => value)).to.deep.equal([1, 1, 1, 1]);
    });
  });

  it('counts transitions, ends, failures and durations, also when the log does not show them', async () => {
    const before = await scrape(platform.apiUrl);
    const good = await client.submit('def f(n):\n    return n', [[1], [2], [3]]);
    const bad = await client.submit('def f():\n    raise ValueError("no")', [[], []]);
    await client.results([...good, ...bad]);
    expect(platform.dispatcher.log()).to.not.include('task.claimed');
    await eventuallyPasses(async () => {
      const after = await scrape(platform.apiUrl);
      const grown = (name: string, labels: Record<string, string> = {}): number =>
        sample(after, name, labels) - sample(before, name, labels);
      expect(grown('mpcsfaas_tasks_submitted_total')).to.equal(5);
      expect(grown('mpcsfaas_tasks_ended_total', { state: 'completed' })).to.equal(3);
      expect(grown('mpcsfaas_tasks_ended_total', { state: 'failed' })).to.equal(2);
      expect(grown('mpcsfaas_task_failures_total', { type: 'UserException' })).to.equal(2);
      expect(grown('mpcsfaas_transitions_total', { event: 'task.claimed' })).to.equal(5);
      expect(grown('mpcsfaas_task_run_seconds_count')).to.equal(5);
      expect(grown('mpcsfaas_batch_tasks_sum', { hop: 'settle' })).to.equal(5);
      expect(grown('mpcsfaas_task_queue_wait_seconds_count')).to.equal(5);
      expect(grown('mpcsfaas_task_end_to_end_seconds_count')).to.equal(5);
      const waited = grown('mpcsfaas_task_queue_wait_seconds_sum');
      expect(grown('mpcsfaas_task_end_to_end_seconds_sum')).to.be.within(waited, 30);
      expect(grown('mpcsfaas_http_requests_total', { route: '/tasks', method: 'POST', status: '200' })).to.equal(2);
    });
    const text = await scrape(platform.apiUrl);
    expect(sample(text, 'mpcsfaas_slots')).to.equal(2);
    expect(sample(text, 'mpcsfaas_tasks', { state: 'queued' })).to.equal(0);
    // A worker tells what it needs with its next heartbeat.
    await eventuallyPasses(async () => {
      const processes = await scrape(platform.apiUrl);
      for (const component of ['api', 'dispatcher', 'monitor', 'worker'])
        expect(sample(processes, 'process_resident_memory_bytes', { component }), component).to.be.greaterThan(1e6);
    });
  });

  it('tells no ids of tasks and functions, and stays small', async () => {
    const [id] = await client.submit('def f():\n    return 1', [[]]);
    await client.result(id!);
    const story = await platform.call('GET', `/tasks/${id!}`);
    const text = await scrape(platform.apiUrl);
    expect(text).to.not.include(id!);
    expect(text).to.not.include((story.body as { function_id: string }).function_id);
    expect(text.length).to.be.lessThan(150_000);
  });

  it('counts cancelled tasks and those whose dependency failed among the failures, and not as queued for long', async () => {
    const before = await scrape(platform.apiUrl);
    const [bad] = await client.submit('def f():\n    raise ValueError("no")', [[]]);
    const [later] = await client.submit('def f():\n    return 1', [[]], { depends_on: [bad] });
    const [delayed] = await client.submit('def f():\n    return 1', [[]], { delay_s: 60 });
    await client.cancel(delayed!);
    await client.results([bad!, later!, delayed!]);
    await eventuallyPasses(async () => {
      const after = await scrape(platform.apiUrl);
      const grown = (type: string): number =>
        sample(after, 'mpcsfaas_task_failures_total', { type }) -
        sample(before, 'mpcsfaas_task_failures_total', { type });
      expect([grown('UserException'), grown('DependencyFailed'), grown('Cancelled')]).to.deep.equal([1, 1, 1]);
    });
  });

  it('shows a process that does not answer as down, and answers itself within a second', async () => {
    await platform.monitor.kill('SIGSTOP');
    try {
      await new Promise((resolve) => setTimeout(resolve, 300));
      const startedAtMs = performance.now();
      const text = await scrape(platform.apiUrl);
      expect(performance.now() - startedAtMs).to.be.lessThan(1_000);
      expect(sample(text, 'mpcsfaas_up', { component: 'monitor' })).to.equal(0);
      expect(sample(text, 'mpcsfaas_up', { component: 'dispatcher' })).to.equal(1);
    } finally {
      await platform.monitor.kill('SIGCONT');
    }
  });
});
