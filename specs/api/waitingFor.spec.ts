import { expect } from 'chai';
import type { WorkerRecord } from '../../bus/taskStore.js';
import { type ApiFixture, startApi } from './support/apiFixture.js';

const now = (): { joinedAtMs: number; heartbeatAtMs: number } => ({ joinedAtMs: 1, heartbeatAtMs: Date.now() });
const worker = (name: string, labels: string[], heartbeat: object = now()): WorkerRecord => ({
  ...{ name, labels, state: 'ready', dispatcher: 'd', mode: 'push', slots: 1, running: 0, queued: 0, pid: 1 },
  ...{ pythonVersion: '3.11.2', pythonImplementation: 'cpython', dillVersion: '0.4', functions: 0, warm: [], ...now() },
  ...heartbeat,
});
const dispatcher = () => ({
  ...({ id: 'd', state: 'running', mode: 'push', workers: 1, slots: 1, inFlight: 0, unsettled: 0 } as const),
  ...{ completed: 0, failed: 0, completedPerSecond: 0, failedPerSecond: 0, startedAtMs: 1, heartbeatAtMs: Date.now() },
});

describe('what a task waits for', () => {
  let api: ApiFixture;
  beforeEach(async () => {
    api = await startApi();
  });
  afterEach(() => api.stop());

  const why = async (taskId: string): Promise<Record<string, unknown> | null> =>
    (await api.get(`/tasks/${taskId}`)).body['waiting_for'] as Record<string, unknown> | null;

  it('is a dispatcher, then a worker, then its turn; nothing once it runs', async () => {
    const first = await api.submit();
    const second = await api.submit();
    expect((await why(first))?.['reason']).to.equal('no_dispatcher');
    await api.store.writeDispatcher(dispatcher());
    await api.store.writeWorkers([worker('silent', [], { heartbeatAtMs: 1 })]);
    expect((await why(first))?.['reason']).to.equal('no_worker');
    await api.store.writeWorkers([worker('a', [])]);
    expect(await why(first)).to.include({ reason: 'behind_others', ahead: 0 });
    expect(await why(second)).to.include({ ahead: 1, text: 'waits behind 1 other task of its queue' });
    await api.claim();
    expect(await why(first)).to.equal(null);
  });

  it('is a worker with its labels', async () => {
    const taskId = await api.submit({ labels: ['gpu', 'eu'] });
    await api.store.writeDispatcher(dispatcher());
    await api.store.writeWorkers([worker('a', ['eu']), worker('b', []), worker('c', [])]);
    expect(await why(taskId)).to.deep.equal({
      reason: 'no_worker_with_labels',
      text: 'waits for a worker with the labels eu, gpu: 3 workers are connected, none has gpu',
      labels: ['eu', 'gpu'],
    });
    await api.store.writeWorkers([worker('b', ['gpu'])]);
    expect((await why(taskId))?.['text']).to.match(/none has all of them$/);
    await api.store.writeWorkers([worker('c', ['eu', 'gpu', 'x'])]);
    expect(await why(taskId)).to.include({ reason: 'behind_others', ahead: 0 });
    expect((await api.get('/stats')).body['queues']).to.deep.equal({ high: 0, normal: 1, low: 0 });
  });

  it('is other tasks, named, that have to complete first; they are counted and listed', async () => {
    const needed = [await api.submit(), await api.submit()];
    const taskId = await api.submit({ depends_on: needed });
    expect(await why(taskId)).to.deep.equal({
      reason: 'dependencies',
      text: `waits for task ${needed[0]!} and 1 other to complete`,
      tasks: needed,
    });
    const claimed = await api.claim();
    await api.settle(claimed[0]!);
    expect(await why(taskId)).to.deep.equal({
      reason: 'dependencies',
      text: `waits for task ${needed[1]!} to complete`,
      tasks: [needed[1]],
    });
    expect((await api.get('/stats')).body['tasks']).to.include({ queued: 0, blocked: 1 });
    const { tasks } = (await api.get('/tasks?status=QUEUED')).body as { tasks: { task_id: string }[] };
    expect(tasks.map(({ task_id }) => task_id)).to.deep.equal([taskId]);
  });

  it('is its time, when it is delayed', async () => {
    const waiting = await why(await api.submit({ delay_s: 60 }));
    expect(waiting?.['reason']).to.equal('delayed');
    expect(new Date(String(waiting?.['until'])).getTime()).to.be.within(Date.now() + 50_000, Date.now() + 61_000);
  });
});
