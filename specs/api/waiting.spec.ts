import { expect } from 'chai';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClaimedTask } from '../../bus/taskStore.js';
import { type ApiFixture, PAYLOAD, PICKLE, startApi } from './support/apiFixture.js';

/** Short against every wait below, long against a read of Redis. */
const POLL_MS = 50;

describe('waiting for results', () => {
  let api: ApiFixture;
  beforeEach(async () => {
    api = await startApi({ settledOptions: { pollMs: POLL_MS, maxWaitedIds: 100 } });
  });
  afterEach(async () => {
    expect(api.settled.waiting, 'waits left behind').to.equal(0);
    await api.stop();
  });

  async function waitUntilWaiting(count: number): Promise<void> {
    while (api.settled.waiting !== count) await sleep(1);
  }

  async function runningTask(): Promise<ClaimedTask> {
    await api.submit();
    const [task] = await api.claim();
    return task!;
  }

  it('answers at once when the task has ended before', async () => {
    const task = await runningTask();
    await api.settle(task);
    const startedMs = performance.now();
    const { body } = await api.get(`/result/${task.taskId}?wait=30`);
    expect(body).to.deep.equal({ task_id: task.taskId, status: 'COMPLETED', result: PAYLOAD });
    expect(performance.now() - startedMs).to.be.lessThan(1000);
  });

  it('answers as soon as an event brings the result, without another read', async () => {
    const { taskId } = await runningTask();
    const waiting = api.get(`/result/${taskId}?wait=30`);
    await waitUntilWaiting(1);
    await sleep(5);
    // Redis still has it running, so what is answered came with the event.
    api.settled.onSettled([{ taskId, state: 'completed', payload: PICKLE }]);
    expect((await waiting).body).to.deep.equal({ task_id: taskId, status: 'COMPLETED', result: PAYLOAD });
  });

  it('reads the result from Redis when the event is without it', async () => {
    const task = await runningTask();
    const waiting = api.get(`/result/${task.taskId}?wait=30`);
    await waitUntilWaiting(1);
    await api.settle(task);
    api.settled.onSettled([{ taskId: task.taskId, state: 'completed' }]);
    expect((await waiting).body['result']).to.equal(PAYLOAD);
  });

  it('does not believe an event without a result that Redis knows nothing of', async () => {
    const { taskId } = await runningTask();
    const waiting = api.get(`/result/${taskId}?wait=0.2`);
    await waitUntilWaiting(1);
    api.settled.onSettled([{ taskId, state: 'completed' }]);
    expect((await waiting).body).to.deep.equal({ task_id: taskId, status: 'RUNNING', result: '' });
  });

  it('finds the end by itself when no event comes', async () => {
    const task = await runningTask();
    const waiting = api.get(`/result/${task.taskId}?wait=30`);
    await waitUntilWaiting(1);
    await api.settle(task);
    expect((await waiting).body['status']).to.equal('COMPLETED');
  });

  it('answers the state there is when the wait is over', async () => {
    const taskId = await api.submit();
    const startedMs = performance.now();
    const waiting = api.get(`/result/${taskId}?wait=0.3`);
    await waitUntilWaiting(1);
    await api.claim();
    expect((await waiting).body).to.deep.equal({ task_id: taskId, status: 'RUNNING', result: '' });
    expect(performance.now() - startedMs).to.be.within(290, 2000);
  });

  it('answers a batch when its last task has ended', async () => {
    const tasks = [await runningTask(), await runningTask(), await runningTask()];
    const taskIds = tasks.map(({ taskId }) => taskId);
    const waiting = api.post('/results', { task_ids: [...taskIds, taskIds[0]], wait: 30 });
    await waitUntilWaiting(3);
    let answered = false;
    void waiting.then(() => (answered = true));
    api.settled.onSettled([{ taskId: taskIds[2]!, state: 'completed', payload: PICKLE }]);
    await api.settle(tasks[0]!);
    await sleep(3 * POLL_MS);
    expect(answered).to.be.false;
    api.settled.onSettled([{ taskId: taskIds[1]!, state: 'failed', payload: PICKLE }]);
    const results = (await waiting).body['results'] as Record<string, unknown>[];
    expect(results.map(({ task_id }) => task_id)).to.deep.equal([...taskIds, taskIds[0]]);
    expect(results.map(({ status }) => status)).to.deep.equal(['COMPLETED', 'FAILED', 'COMPLETED', 'COMPLETED']);
  });

  it('answers a batch with what there is when the wait is over', async () => {
    const task = await runningTask();
    const queuedId = await api.submit();
    const waiting = api.post('/results', { task_ids: [queuedId, task.taskId], wait: 0.3 });
    await api.settle(task);
    const results = (await waiting).body['results'] as Record<string, unknown>[];
    expect(results.map(({ status }) => status)).to.deep.equal(['QUEUED', 'COMPLETED']);
  });

  it('submits a task and answers its result in one request', async () => {
    const body = { function_id: await api.functionId(), payload: PAYLOAD };
    const waiting = api.post('/execute_function?wait=30', body);
    let [task] = await api.claim();
    while (!task) [task] = await api.claim();
    expect(api.settled.waiting).to.equal(1);
    await api.settle(task);
    api.settled.onSettled([{ taskId: task.taskId, state: 'completed', payload: PICKLE }]);
    expect((await waiting).body).to.deep.equal({ task_id: task.taskId, status: 'COMPLETED', result: PAYLOAD });

    const late = await api.post('/execute_function?wait=0.1', body);
    expect(late.status).to.equal(200);
    expect(late.body).to.include({ status: 'QUEUED', result: '' });
  });

  it('finds the result of a request that is sent a second time with its key', async () => {
    const body = { function_id: await api.functionId(), payload: PAYLOAD };
    const headers = { 'idempotency-key': 'once' };
    const first = await api.post('/execute_function?wait=0.1', body, headers);
    const [task] = await api.claim();
    await api.settle(task!);
    const second = await api.post('/execute_function?wait=0.1', body, headers);
    expect(second.body).to.deep.equal({ ...first.body, status: 'COMPLETED', result: PAYLOAD });
  });

  it('answers many clients that wait for the same task', async () => {
    const { taskId } = await runningTask();
    const waiting = Array.from({ length: 20 }, () => api.get(`/result/${taskId}?wait=30`));
    await waitUntilWaiting(20);
    api.settled.onSettled([{ taskId, state: 'completed', payload: PICKLE }]);
    for (const { body } of await Promise.all(waiting)) expect(body['status']).to.equal('COMPLETED');
  });

  it('reports outcomes in the order in which tasks end', async () => {
    const taskIds = [await api.submit(), await api.submit()];
    const seen: string[] = [];
    const waiting = api.settled.wait(taskIds, { timeoutMs: 5000, onOutcome: ({ taskId }) => seen.push(taskId) });
    await sleep(5);
    for (const taskId of taskIds.toReversed()) api.settled.onSettled([{ taskId, state: 'completed', payload: PICKLE }]);
    await waiting;
    expect(seen).to.deep.equal(taskIds.toReversed());
  });

  it('refuses with 429 when too many tasks are waited for', async () => {
    const taskId = await api.submit();
    const held = Array.from({ length: 100 }, () => api.get(`/result/${taskId}?wait=30`));
    await waitUntilWaiting(100);
    const { status, body } = await api.get(`/result/${taskId}?wait=30`);
    expect(status).to.equal(429);
    expect(body['code']).to.equal('TOO_MANY_WAITS');
    expect((await api.get(`/result/${taskId}`)).status).to.equal(200);
    api.settled.onSettled([{ taskId, state: 'completed', payload: PICKLE }]);
    await Promise.all(held);
  });

  it('forgets clients that disconnect', async () => {
    const taskId = await api.submit();
    const url = await api.app.listen({ host: '127.0.0.1', port: 0 });
    const client = request(`${url}/result/${taskId}?wait=30`).on('error', () => undefined);
    client.end();
    await waitUntilWaiting(1);
    client.destroy();
    await waitUntilWaiting(0);
  });

  it('answers a client over a real connection that stays silent meanwhile', async () => {
    const { taskId } = await runningTask();
    const url = await api.app.listen({ host: '127.0.0.1', port: 0 });
    const waiting = fetch(`${url}/results`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close' },
      body: JSON.stringify({ task_ids: [taskId], wait: 30 }),
    });
    await waitUntilWaiting(1);
    await sleep(2 * POLL_MS);
    api.settled.onSettled([{ taskId, state: 'completed', payload: PICKLE }]);
    const answer = (await (await waiting).json()) as { results: unknown[] };
    expect(answer.results).to.deep.equal([{ task_id: taskId, status: 'COMPLETED', result: PAYLOAD }]);
  });

  it('answers who waits with what there is when the API closes', async () => {
    const taskId = await api.submit();
    const waiting = api.get(`/result/${taskId}?wait=30`);
    await waitUntilWaiting(1);
    await api.app.close();
    expect((await waiting).body).to.deep.equal({ task_id: taskId, status: 'QUEUED', result: '' });
  });
});
