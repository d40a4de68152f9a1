import { expect } from 'chai';
import { cutEntry, recordEntry, recordHead } from '../../bus/outputRecord.js';
import { type ApiFixture, PAYLOAD, PICKLE, startApi, UNKNOWN_ID } from './support/apiFixture.js';

interface Story extends Record<string, unknown> {
  history: Record<string, unknown>[];
}

describe('the platform API', () => {
  let api: ApiFixture;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  describe('POST /tasks and POST /results', () => {
    it('submits many tasks at once and answers their ids in order', async () => {
      const payloads = Array.from({ length: 1200 }, (_, index) =>
        Buffer.from(`K${String.fromCharCode(index % 100)}.`, 'latin1'),
      );
      const { status, body } = await api.post('/tasks', {
        function_id: await api.functionId(),
        payloads: payloads.map((payload) => payload.toString('base64')),
        timeout_s: 30,
      });
      expect(status).to.equal(200);
      const taskIds = body['task_ids'] as string[];
      expect(new Set(taskIds).size).to.equal(1200);
      const claimed = [...(await api.claim()), ...(await api.claim()), ...(await api.claim())];
      expect(claimed.map(({ taskId }) => taskId)).to.deep.equal(taskIds);
      expect(claimed.every((task, index) => task.arguments.equals(payloads[index]!))).to.be.true;
      expect(claimed.every((task) => task.timeoutMs === 30_000)).to.be.true;

      await Promise.all(claimed.slice(0, 1000).map((task) => api.settle(task)));
      const results = (await api.post('/results', { task_ids: taskIds })).body['results'] as Record<string, unknown>[];
      expect(results.map((result) => result['task_id'])).to.deep.equal(taskIds);
      expect(results[0]).to.deep.equal({ task_id: taskIds[0], status: 'COMPLETED', result: PAYLOAD });
      expect(results[1199]).to.deep.equal({ task_id: taskIds[1199], status: 'RUNNING', result: '' });
    });

    it('refuses more than 10,000', async () => {
      const taskIds = Array<string>(10_001).fill(UNKNOWN_ID);
      const { status, body } = await api.post('/results', { task_ids: taskIds });
      expect(status).to.equal(422);
      expect(body['detail']).to.equal('`task_ids` in the body must have at most 10000 items.');
    });

    it('answers 404 for an unknown function, and for an unknown task among known ones', async () => {
      expect((await api.post('/tasks', { function_id: UNKNOWN_ID, payloads: [PAYLOAD] })).status).to.equal(404);
      const { status, body } = await api.post('/results', { task_ids: [await api.submit(), UNKNOWN_ID], wait: 30 });
      expect(status).to.equal(404);
      expect(body['detail']).to.contain(UNKNOWN_ID);
    });

    it('refuses results that are too large for one answer', async () => {
      const small = await startApi({ settledOptions: { maxAnswerBytes: 3 * PICKLE.length } });
      try {
        const taskIds = [await small.submit(), await small.submit(), await small.submit(), await small.submit()];
        for (const task of await small.claim()) await small.settle(task);
        expect((await small.post('/results', { task_ids: taskIds.slice(1) })).status).to.equal(200);
        const { status, body } = await small.post('/results', { task_ids: taskIds });
        expect(status).to.equal(413);
        expect(body['code']).to.equal('ANSWER_TOO_LARGE');
      } finally {
        await small.stop();
      }
    });
  });

  describe('GET /tasks/{id}', () => {
    it('tells the whole story of a task that failed', async () => {
      const taskId = await api.submit({ max_attempts: 1 });
      const task = (await api.claim()).find((claimed) => claimed.taskId === taskId)!;
      const failure = { type: 'ProcessCrashed', message: 'killed', signal: 'SIGKILL' } as const;
      const startedAtMs = 1_700_000_000_123;
      await api.settle(task, { event: 'task.interrupted', payload: Buffer.alloc(0), failure, startedAtMs });
      const { status, body } = await api.get(`/tasks/${taskId}`);
      expect(status).to.equal(200);
      expect(body).to.include({
        task_id: taskId,
        status: 'FAILED',
        state: 'failed',
        attempts: 1,
        max_attempts: 1,
        timeout_s: null,
        worker: 'worker-1',
        started_at: '2023-11-14T22:13:20.123Z',
        started_at_ms: startedAtMs,
        run_time_us: 1500,
        peak_memory_kib: 20_480,
        result_bytes: 0,
        output_truncated: false,
        due_at: null,
      });
      expect(body['failure']).to.include({ type: 'ProcessCrashed', signal: 'SIGKILL', traceback: null });
      expect(body['failure']).to.have.property('message').that.contains('killed');
      for (const moment of ['queued', 'claimed', 'finished']) {
        expect(new Date(String(body[`${moment}_at`])).getTime()).to.equal(body[`${moment}_at_ms`]);
      }
      const { history } = body as Story;
      expect(history.map(({ from, to }) => `${String(from)} -> ${String(to)}`)).to.deep.equal([
        'new -> queued',
        'queued -> running',
        'running -> failed',
      ]);
      expect(history[0]).to.include({ event: 'task.submitted', detail: null, at: body['queued_at'] });
    });

    it('says when a delayed task is due', async () => {
      const taskId = await api.submit({ delay_s: 60 });
      const { body } = await api.get(`/tasks/${taskId}`);
      expect(body).to.include({ status: 'QUEUED', state: 'delayed', attempts: 0, worker: null, failure: null });
      expect(Number(body['due_at_ms']) - Number(body['queued_at_ms'])).to.equal(60_000);
    });
  });

  describe('POST /tasks/{id}/cancel', () => {
    it('cancels a queued task', async () => {
      const taskId = await api.submit();
      api.announced.transitions.length = 0;
      const { status, body } = await api.post(`/tasks/${taskId}/cancel`);
      expect(status).to.equal(200);
      expect(body).to.deep.equal({ task_id: taskId, cancelled: true, status: 'CANCELLED' });
      expect(api.announced.transitions).to.deep.equal([['task', taskId, 'queued', 'task.cancelled', 'cancelled']]);
      expect(api.announced.cancelled).to.deep.equal([]);
      expect((await api.get(`/status/${taskId}`)).body['status']).to.equal('CANCELLED');
    });

    it('cancels a running task and tells who runs it', async () => {
      const taskId = await api.submit();
      const [task] = await api.claim();
      expect((await api.post(`/tasks/${taskId}/cancel`, {})).body['cancelled']).to.be.true;
      expect(api.announced.cancelled).to.deep.equal([{ taskId, fence: task!.fence }]);
    });

    it('changes nothing once a task has ended', async () => {
      const taskId = await api.submit();
      const [task] = await api.claim();
      await api.settle(task!);
      const { status, body } = await api.post(`/tasks/${taskId}/cancel`);
      expect(status).to.equal(200);
      expect(body).to.deep.equal({ task_id: taskId, cancelled: false, status: 'COMPLETED' });
    });

    it('answers who waits for the task at once', async () => {
      const taskId = await api.submit();
      const waiting = api.get(`/result/${taskId}?wait=30`);
      while (api.settled.waiting === 0) await new Promise(setImmediate);
      await api.post(`/tasks/${taskId}/cancel`);
      const { body } = await waiting;
      expect(body['status']).to.equal('CANCELLED');
      expect(body['result']).to.be.a('string').that.is.not.empty;
    });

    it('answers 404 for an unknown task', async () => {
      expect((await api.post(`/tasks/${UNKNOWN_ID}/cancel`)).status).to.equal(404);
    });
  });

  describe('POST /tasks/cancel', () => {
    it('cancels many, also those that run, and passes over what has ended or is unknown', async () => {
      await api.claim();
      const [ended, running] = [await api.submit(), await api.submit()];
      const [first, second] = await api.claim();
      await api.settle(first!);
      const queued = await api.submit();
      const { status, body } = await api.post('/tasks/cancel', { task_ids: [ended, running, queued, UNKNOWN_ID] });
      expect(status).to.equal(200);
      expect(body).to.deep.equal({ cancelled: 2, ended_before: 1, unknown: 1 });
      expect(api.announced.cancelled).to.deep.include({ taskId: running, fence: second!.fence });
      const { body: results } = await api.post('/results', { task_ids: [ended, running, queued] });
      const statuses = (results['results'] as Record<string, unknown>[]).map((one) => one['status']);
      expect(statuses).to.deep.equal(['COMPLETED', 'CANCELLED', 'CANCELLED']);
    });

    it('refuses none and too many', async () => {
      expect((await api.post('/tasks/cancel', { task_ids: [] })).status).to.equal(422);
      const taskIds = Array<string>(1_001).fill(UNKNOWN_ID);
      expect((await api.post('/tasks/cancel', { task_ids: taskIds })).status).to.equal(422);
    });
  });

  it('GET /tasks/{id}/logs answers what a task printed, as text that browsers do not run', async () => {
    const taskId = await api.submit();
    expect((await api.get(`/tasks/${taskId}/logs?format=text`)).text).to.equal('');
    const [task] = await api.claim();
    const printed = '<script>alert(1)</script>\nünïcode\n';
    const piece = { atMs: 1_700_000_000_000, stream: 'stdout', bytes: Buffer.from(printed) } as const;
    const output = Buffer.concat([recordHead(1), recordEntry(piece), cutEntry(1_700_000_000_001)]);
    await api.settle(task!, { output, outputTruncated: true });
    const { status, text, headers } = await api.get(`/tasks/${taskId}/logs?format=text`);
    expect(status).to.equal(200);
    expect(text).to.equal(printed);
    expect(headers).to.include({ 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' });
    expect((await api.get(`/tasks/${taskId}`)).body['output_truncated']).to.be.true;
    expect((await api.get(`/tasks/${UNKNOWN_ID}/logs`)).status).to.equal(404);
    const at = '2023-11-14T22:13:20.000Z';
    expect((await api.get(`/tasks/${taskId}/logs`)).body).to.deep.equal({
      ...{ task_id: taskId, status: 'COMPLETED', attempt: 1, truncated: true },
      lines: ['<script>alert(1)</script>\n', 'ünïcode\n'].map((line) => ({ at, stream: 'stdout', text: line })),
    });
    expect((await api.get(`/tasks/${taskId}/logs?format=xml`)).status).to.equal(422);
  });

  it('GET /functions/{id} tells what is known of a function', async () => {
    const functionId = await api.functionId();
    const { status, body } = await api.get(`/functions/${functionId.toUpperCase()}`);
    expect(status).to.equal(200);
    expect(body).to.include({ function_id: functionId, name: 'double', payload_bytes: PICKLE.length });
    expect(new Date(String(body['registered_at'])).getTime()).to.equal(body['registered_at_ms']);
    expect((await api.get(`/functions/${UNKNOWN_ID}`)).status).to.equal(404);
  });

  it('labels of a task reach the store, whatever their order, and wrong ones are refused', async () => {
    const functionId = await api.functionId();
    const submit = (labels: unknown) =>
      api.post('/execute_function', { function_id: functionId, payload: PAYLOAD, labels });
    const { body } = await submit(['gpu', 'eu', 'gpu']);
    expect((await api.store.readTask(String(body['task_id'])))!.requirement).to.equal('eu,gpu');
    for (const wrong of [['a b'], ['x@y'], [''], ['x'.repeat(65)], Array(17).fill('a'), 'gpu']) {
      expect((await submit(wrong)).status, String(wrong)).to.equal(422);
    }
  });

  it('GET /workers lists the workers as their dispatchers reported them', async () => {
    expect((await api.get('/workers')).body).to.deep.equal({ workers: [] });
    const worker = { state: 'ready', dispatcher: 'd', mode: 'push', slots: 2, running: 1, queued: 0 } as const;
    const more = {
      pid: 7,
      pythonVersion: '3.11.2',
      pythonImplementation: 'cpython',
      labels: ['gpu'],
      dillVersion: '0.3.8',
      joinedAtMs: 1000,
      heartbeatAtMs: 2000,
      functions: 3,
      warm: ['older', 'newer'],
    };
    await api.store.writeWorkers([
      { name: 'b', ...worker, ...more },
      { name: 'a', ...worker, ...more },
    ]);
    const workers = (await api.get('/workers')).body['workers'] as Record<string, unknown>[];
    expect(workers.map(({ name }) => name)).to.deep.equal(['a', 'b']);
    expect(workers[0]).to.deep.equal({
      name: 'a',
      ...worker,
      pid: 7,
      sandbox: null,
      python_version: '3.11.2',
      python_implementation: 'cpython',
      labels: ['gpu'],
      dill_version: '0.3.8',
      joined_at: '1970-01-01T00:00:01.000Z',
      joined_at_ms: 1000,
      heartbeat_at: '1970-01-01T00:00:02.000Z',
      heartbeat_at_ms: 2000,
      functions: 3,
      warm_functions: [
        { function_id: 'newer', name: null },
        { function_id: 'older', name: null },
      ],
    });
  });
});
