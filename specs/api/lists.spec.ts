import { expect } from 'chai';
import type { DispatcherRecord, WorkerRecord } from '../../bus/taskStore.js';
import { type ApiFixture, PAYLOAD, PICKLE, startApi, UNKNOWN_ID } from './support/apiFixture.js';

const RAISED = {
  event: 'task.raised',
  failure: { type: 'UserException', message: 'no such thing', exception: 'KeyError', traceback: 'long' },
} as const;

const worker = (name: string, heartbeatAtMs = Date.now()): WorkerRecord => ({
  ...{
    name,
    state: 'busy',
    dispatcher: 'd',
    mode: 'push',
    slots: 4,
    running: 3,
    queued: 1,
    pid: 1,
    functions: 1,
    warm: [],
  },
  ...{
    pythonVersion: '3.11.2',
    pythonImplementation: 'cpython',
    labels: [],
    dillVersion: '0.3.6',
    joinedAtMs: heartbeatAtMs,
    heartbeatAtMs,
  },
});

const dispatcher = (): DispatcherRecord => ({
  ...{ id: 'host-1', state: 'running', mode: 'push', workers: 1, slots: 4, inFlight: 4, unsettled: 0, completed: 7 },
  ...{ failed: 2, completedPerSecond: 1.4, failedPerSecond: 0.4, startedAtMs: Date.now(), heartbeatAtMs: Date.now() },
});

describe('lists in the API', () => {
  let api: ApiFixture;
  beforeEach(async () => {
    api = await startApi();
  });
  afterEach(() => api.stop());

  const listed = async (query = ''): Promise<Record<string, unknown>[]> =>
    (await api.get(`/tasks${query}`)).body['tasks'] as Record<string, unknown>[];

  it('have tasks, newest first, and their functions by name', async () => {
    const [first, second] = [await api.submit(), await api.submit()];
    const tasks = await listed();
    expect(tasks.map(({ task_id }) => task_id)).to.deep.equal([second, first]);
    expect(tasks[0]).to.include({ status: 'QUEUED', state: 'queued', function_name: 'double', priority: 'normal' });
    expect(tasks[0]).to.include({ attempts: 0, worker: null, failure: null, started_at: null, run_again_as: null });
    const story = (await api.get(`/tasks/${second}`)).body;
    expect(tasks[0]!['queued_at']).to.equal(story['queued_at']);
  });

  it('have tasks of one status, one function, one failure', async () => {
    const failed = await api.submit();
    const [claimed] = await api.claim();
    await api.settle(claimed!, RAISED);
    const delayed = await api.submit({ delay_s: 60 });
    expect((await listed('?status=FAILED')).map(({ task_id }) => task_id)).to.deep.equal([failed]);
    expect((await listed('?status=QUEUED')).map(({ task_id }) => task_id)).to.deep.equal([delayed]);
    expect(await listed('?failure=Timeout')).to.deep.equal([]);
    expect(await listed(`?function=${UNKNOWN_ID}`)).to.deep.equal([]);
    expect(await listed(`?function=${(await api.functionId()).toUpperCase()}`)).to.have.length(2);
    const [task] = await listed('?failure=UserException');
    expect(task!['failure']).to.deep.equal({ type: 'UserException', message: 'no such thing', exception: 'KeyError' });
  });

  it('have named tasks, in the order they are named, without those that are not there', async () => {
    const ids = [await api.submit(), await api.submit(), await api.submit()] as const;
    const named = (query: string) => api.get(`/tasks?ids=${query}`).then(({ body }) => body);
    const { tasks, cursor } = await named(`${ids[2]},${UNKNOWN_ID},${ids[0].toUpperCase()}`);
    expect((tasks as { task_id: string }[]).map(({ task_id }) => task_id)).to.deep.equal([ids[2], ids[0]]);
    expect(cursor).to.equal(null);
    expect((await named(`${ids[1]}&status=RUNNING`))['tasks']).to.deep.equal([]);
    for (const bad of ['', 'x', `${ids[0]},`, Array.from({ length: 101 }, () => ids[0]).join()])
      expect((await api.get(`/tasks?ids=${bad}`)).status).to.equal(422);
  });

  it('go on with a cursor until it is null', async () => {
    for (let count = 0; count < 5; count++) await api.submit();
    const seen: unknown[] = [];
    let cursor: string | null | undefined;
    do {
      const { body } = await api.get(`/tasks?limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`);
      seen.push(...(body['tasks'] as { task_id: string }[]).map(({ task_id }) => task_id));
      cursor = body['cursor'] as string | null;
    } while (cursor !== null);
    expect(new Set(seen).size).to.equal(5);
    expect(seen).to.have.length(5);
  });

  for (const query of [
    'status=DONE',
    'failure=Nothing',
    'function=7',
    'limit=0',
    'limit=1001',
    'limit=x',
    'cursor=x',
  ]) {
    it(`refuse ${query}`, async () => {
      const { status, body } = await api.get(`/tasks?${query}`);
      expect(status).to.equal(422);
      expect(body['detail']).to.include(query.split('=')[0]);
    });
  }

  it('show the beginning of a name that is longer than one may be now', async () => {
    const { functionId } = await api.store.registerFunction({ name: 'n'.repeat(1_000_000), payload: PICKLE });
    await api.post('/execute_function', { function_id: functionId, payload: PAYLOAD });
    await api.store.writeWorkers([{ ...worker('w1'), warm: [functionId] }]);
    const shown = `${'n'.repeat(999)}…`;
    const [task] = await listed();
    expect(task!['function_name'] === shown).to.equal(true);
    const [first] = (await api.get('/functions')).body['functions'] as Record<string, unknown>[];
    expect(first!['name'] === shown).to.equal(true);
    const { text } = await api.get('/workers');
    expect(text).to.include(shown).and.to.have.length.below(10_000);
    // The longest that may be registered is shown whole.
    const longest = 'm'.repeat(1_000);
    await api.post('/register_function', {
      name: longest,
      payload: Buffer.from('K\x05.', 'latin1').toString('base64'),
    });
    const [newest] = (await api.get('/functions?limit=1')).body['functions'] as Record<string, unknown>[];
    expect(newest!['name']).to.equal(longest);
  });

  it('have functions, newest first', async () => {
    const id = await api.functionId();
    const { body } = await api.get('/functions?limit=1');
    expect(body['functions']).to.deep.equal([(await api.get(`/functions/${id}`)).body]);
    expect(body['cursor']).to.equal(null);
  });

  it('have dispatchers, and how much there is to do', async () => {
    await api.store.writeDispatcher(dispatcher());
    await api.store.writeWorkers([worker('w1'), worker('silent', Date.now() - 30_000)]);
    await api.submit();
    await api.submit({ delay_s: 60, priority: 'high' });
    const [listedDispatcher] = (await api.get('/dispatchers')).body['dispatchers'] as Record<string, unknown>[];
    expect(listedDispatcher).to.include({ id: 'host-1', state: 'running', in_flight: 4, completed_per_s: 1.4 });
    expect((await api.get('/stats')).body).to.deep.include({
      tasks: { queued: 1, running: 0, delayed: 1, retrying: 0, blocked: 0, completed: 0, failed: 0, cancelled: 0 },
      queues: { high: 0, normal: 1, low: 0 },
      slots: { total: 4, busy: 3 },
      workers: 1,
      dispatchers: 1,
      rates: { completed_per_s: 1.4, failed_per_s: 0.4 },
    });
  });

  it('lead to drains of workers and dispatchers that are there', async () => {
    await api.store.writeDispatcher(dispatcher());
    await api.store.writeWorkers([worker('w 1')]);
    expect((await api.post('/workers/w%201/drain')).body).to.deep.equal({ worker: 'w 1', draining: true });
    expect((await api.post('/dispatchers/host-1/drain')).body).to.deep.equal({ dispatcher: 'host-1', draining: true });
    expect(api.announced.drains).to.deep.equal(['worker w 1', 'dispatcher host-1']);
    expect((await api.post('/workers/w2/drain')).body).to.include({ code: 'WORKER_UNKNOWN' });
    expect((await api.post('/dispatchers/w2/drain')).body).to.include({ code: 'DISPATCHER_UNKNOWN' });
    api.state.nats = false;
    const { status, body } = await api.post('/dispatchers/host-1/drain');
    expect([status, body['code']]).to.deep.equal([503, 'EVENTS_UNAVAILABLE']);
    expect(api.announced.drains).to.have.length(2);
  });
});

describe('running tasks again', () => {
  let api: ApiFixture;
  beforeEach(async () => {
    api = await startApi();
  });
  afterEach(() => api.stop());

  const fail = async (count: number, more = {}): Promise<string[]> => {
    for (let each = 0; each < count; each++) await api.submit(more);
    const tasks = await api.claim();
    for (const task of tasks) await api.settle(task, RAISED);
    return tasks.map(({ taskId }) => taskId);
  };

  it('submits one anew, as it was, under a new id', async () => {
    const [failed] = await fail(1, { priority: 'low', timeout_s: 7, max_attempts: 5 });
    const { body } = await api.post(`/tasks/${failed!}/run_again`);
    expect(body['again_of']).to.equal(failed);
    const again = (await api.get(`/tasks/${String(body['task_id'])}`)).body;
    expect(again).to.include({ status: 'QUEUED', priority: 'low', timeout_s: 7, max_attempts: 5, attempts: 0 });
    expect((await api.get(`/tasks/${failed!}`)).body['run_again_as']).to.equal(body['task_id']);
    const [claimed] = await api.claim();
    expect(claimed!.arguments.toString('base64')).to.equal(PAYLOAD.trim());
  });

  it('refuses what has not ended, what completed, what is not there', async () => {
    const queued = await api.submit();
    expect((await api.post(`/tasks/${queued}/run_again`)).body['detail']).to.include('has not ended: it is queued');
    const [task] = await api.claim();
    await api.settle(task!);
    const { status, body } = await api.post(`/tasks/${queued}/run_again`);
    expect(status).to.equal(409);
    expect(body['detail']).to.include('arguments are not kept');
    expect((await api.post(`/tasks/${UNKNOWN_ID}/run_again`)).status).to.equal(404);
  });

  it('takes many at once, each once, and tells where to go on', async () => {
    await fail(7);
    const first = (await api.post('/tasks/run_again', { failure: 'UserException', limit: 4 })).body;
    expect(first['count']).to.equal(4);
    const rest = (await api.post('/tasks/run_again', { cursor: first['cursor'] })).body;
    expect([rest['count'], rest['cursor']]).to.deep.equal([3, null]);
    expect((await api.post('/tasks/run_again', {})).body['count']).to.equal(0);
    expect((await api.get('/tasks?status=QUEUED')).body['tasks']).to.have.length(7);
    const group = (await api.get(`/groups/${String(first['group_id'])}`)).body;
    expect(group).to.deep.include({ total: 4 });
  });

  it('goes on over what was run again, with the cursor and without, until all have been', async () => {
    const failed = await fail(7);
    const runSome = async (limit: number, cursor?: unknown): Promise<[unknown, unknown]> => {
      const { body } = await api.post('/tasks/run_again', { limit, ...(typeof cursor === 'string' && { cursor }) });
      return [body['count'], body['cursor']];
    };
    expect((await runSome(3))[0]).to.equal(3);
    // The first page has nothing new; the second has more than there is room for.
    const [second, cursor] = await runSome(2);
    expect(second).to.equal(2);
    expect(await runSome(1, cursor)).to.deep.equal([1, cursor]);
    expect(await runSome(5)).to.deep.equal([1, null]);
    expect(await runSome(5)).to.deep.equal([0, null]);
    const queued = (await api.get('/tasks?status=QUEUED')).body['tasks'] as { task_id: string }[];
    const again = await Promise.all(failed.map(async (id) => (await api.get(`/tasks/${id}`)).body['run_again_as']));
    expect(again).to.have.members(queued.map(({ task_id }) => task_id));
  });

  it('takes those alone that are asked for', async () => {
    await fail(2);
    const cancelled = await api.submit();
    await api.post(`/tasks/${cancelled}/cancel`);
    const count = async (body: object): Promise<unknown> => (await api.post('/tasks/run_again', body)).body['count'];
    expect(await count({ failure: 'Timeout' })).to.equal(0);
    expect(await count({ function: UNKNOWN_ID })).to.equal(0);
    expect(await count({ failure: 'Cancelled' })).to.equal(1);
    expect(await count({ function: await api.functionId() })).to.equal(2);
  });

  it('goes on where a crash between the note and the submission left it', async () => {
    const [failed] = await fail(1);
    const planned = '11111111-0000-4000-8000-000000000000';
    const { RedisTaskLists } = await import('../../bus/redis/redisTaskLists.js');
    const { Redis } = await import('ioredis');
    const redis = new Redis(api.redis.url);
    await new RedisTaskLists(redis, { shards: 1 }).noteRunAgain([{ taskId: failed!, newTaskId: planned }], true);
    redis.disconnect();
    expect((await api.post('/tasks/run_again', {})).body['task_ids']).to.deep.equal([planned]);
    expect((await api.post('/tasks/run_again', {})).body['count']).to.equal(0);
  });
});
