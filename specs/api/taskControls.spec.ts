import { expect } from 'chai';
import type { ClaimedTask, Settlement } from '../../bus/taskStore.js';
import { type ApiFixture, PAYLOAD, startApi } from './support/apiFixture.js';

const RAISED: Partial<Settlement> = {
  event: 'task.raised',
  failure: { type: 'UserException', message: 'no', exception: 'Busy', bases: ['app.Busy', 'OSError', 'Exception'] },
};

describe('the controls of a task', () => {
  let api: ApiFixture;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  const claimed = async (taskId: string): Promise<ClaimedTask> =>
    (await api.claim()).find((task) => task.taskId === taskId)!;
  const story = async (taskId: string): Promise<Record<string, unknown>> => (await api.get(`/tasks/${taskId}`)).body;

  it('retries exceptions as told, and says when the next attempt comes and why', async () => {
    const retry = { max_retries: 2, backoff_s: 100, jitter: 0, on: ['builtins.OSError'] };
    const taskId = await api.submit({ retry });
    expect(await story(taskId)).to.include({ retries: 0, max_retries: 2, next_attempt_at: null });
    await api.settle(await claimed(taskId), RAISED);
    const told = await story(taskId);
    expect(told).to.include({ status: 'QUEUED', state: 'retrying', retries: 1, attempts: 1 });
    const history = told['history'] as { at_ms: number; detail: string }[];
    expect(Number(told['next_attempt_at_ms']) - history.at(-1)!.at_ms).to.equal(100_000);
    expect(told['next_attempt_at']).to.equal(told['due_at']);
    expect(history.at(-1)!.detail).to.equal('on worker-1: Busy, next attempt in 100000 ms');
  });

  it('fills in the rest of a retry policy as Celery and its like do', async () => {
    const taskId = await api.submit({ retry: { max_retries: 1 } });
    const { retry } = (await api.store.readTask(taskId))!;
    expect(retry).to.deep.equal({
      maxRetries: 1,
      backoffMs: 1_000,
      backoffFactor: 2,
      maxBackoffMs: 300_000,
      jitter: 0.5,
    });
  });

  it('takes the options for all tasks of a request, and for single ones', async () => {
    const function_id = await api.functionId();
    const { body } = await api.post('/tasks', {
      tasks: [
        { function_id, payload: PAYLOAD },
        { function_id, payload: PAYLOAD, retry: { max_retries: 7 }, result_ttl_s: 30 },
      ],
      retry: { max_retries: 4 },
      result_ttl_s: 60,
    });
    const [first, second] = await Promise.all((body['task_ids'] as string[]).map(story));
    expect(first).to.include({ max_retries: 4, result_ttl_s: 60 });
    expect(second).to.include({ max_retries: 7, result_ttl_s: 30 });
  });

  it('forgets a finished task when its own time is over', async () => {
    const taskId = await api.submit({ result_ttl_s: 1 });
    await api.settle(await claimed(taskId));
    expect((await api.get(`/result/${taskId}`)).body['status']).to.equal('COMPLETED');
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect((await api.get(`/result/${taskId}`)).status).to.equal(404);
  });

  for (const [options, field] of [
    [{ retry: {} }, 'max_retries'],
    [{ retry: { max_retries: 0 } }, 'retry.max_retries'],
    [{ retry: { max_retries: 1, jitter: 2 } }, 'retry.jitter'],
    [{ retry: { max_retries: 1, backoff_factor: 0.5 } }, 'retry.backoff_factor'],
    [{ retry: { max_retries: 1, on: [] } }, 'retry.on'],
    [{ retry: { max_retries: 1, on: [7] } }, 'retry.on'],
    [{ retry: 'always' }, 'retry'],
    [{ result_ttl_s: 0 }, 'result_ttl_s'],
    [{ result_ttl_s: 1.5 }, 'result_ttl_s'],
  ] as const) {
    it(`refuses ${JSON.stringify(options)} and names ${field}`, async () => {
      const { status, body } = await api.post('/execute_function', {
        function_id: await api.functionId(),
        payload: PAYLOAD,
        ...options,
      });
      expect(status).to.equal(422);
      expect(body['detail']).to.contain(field);
    });
  }
});
