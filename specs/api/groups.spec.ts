import { expect } from 'chai';
import { pack, unpack } from 'msgpackr';
import { type ApiFixture, PAYLOAD, PICKLE, startApi, UNKNOWN_ID } from './support/apiFixture.js';

const MSGPACK = { 'content-type': 'application/x-msgpack' };

describe('groups', () => {
  let api: ApiFixture;
  let functionId: string;
  before(async () => {
    api = await startApi();
    functionId = await api.functionId();
  });
  after(() => api.stop());
  afterEach(async () => {
    await api.claim(); // Leaves the queue empty for the next one.
  });

  async function submit(count: number, more: Record<string, unknown> = {}) {
    const payloads = Array<string>(count).fill(PAYLOAD);
    const { status, body, text } = await api.post('/tasks', { function_id: functionId, payloads, ...more });
    expect(status, text).to.equal(200);
    return body as { task_ids: string[]; group_id: string };
  }

  const progress = async (groupId: string) => (await api.get(`/groups/${groupId}`)).body;

  it('are what POST /tasks puts its tasks into, and count them by status', async () => {
    const { group_id } = await submit(5);
    expect(await progress(group_id)).to.deep.equal({
      ...{ group_id, closed: false, total: 5, queued: 5, running: 0 },
      ...{ completed: 0, failed: 0, cancelled: 0, unknown: 0 },
    });
    const [first, second, third] = await api.claim();
    await api.settle(first!);
    await api.settle(second!, { event: 'task.raised' });
    await api.post(`/tasks/${third!.taskId}/cancel`);
    expect(await progress(group_id)).to.include({
      total: 5,
      queued: 0,
      running: 2,
      completed: 1,
      failed: 1,
      cancelled: 1,
    });
  });

  it('grow with every request that names them, also through another API', async () => {
    const { group_id } = (await api.post('/groups')).body as { group_id: string };
    expect(await progress(group_id)).to.include({ total: 0, closed: false });
    const other = await startApi({ redis: api.redis });
    try {
      await submit(3, { group_id });
      const payloads = [PAYLOAD, PAYLOAD];
      await other.post('/tasks', { function_id: functionId, payloads, group_id: group_id.toUpperCase() });
      await submit(1, { group_id, final: true });
      for (const one of [api, other]) {
        expect((await one.get(`/groups/${group_id}`)).body).to.include({ total: 6, queued: 6, closed: true });
      }
    } finally {
      await other.stop();
    }
  });

  it('can have ids that clients made', async () => {
    const group_id = '11111111-2222-4333-8444-555555555555';
    expect((await submit(1, { group_id })).group_id).to.equal(group_id);
    expect((await submit(2, { group_id })).group_id).to.equal(group_id);
    expect(await progress(group_id)).to.include({ total: 3 });
  });

  it('are closed by a request of its own', async () => {
    const { group_id } = await submit(1);
    expect((await api.post(`/groups/${group_id}/close`)).body).to.deep.equal({ group_id, closed: true });
    expect(await progress(group_id)).to.include({ total: 1, closed: true });
  });

  it('hold mixes of functions, each with options of its own', async () => {
    const { body } = await api.post('/register_function', {
      name: 'other',
      payload: Buffer.from('K\x01.').toString('base64'),
    });
    const otherId = String(body['function_id']);
    const answer = await api.post('/tasks', {
      tasks: [
        { function_id: functionId, payload: PAYLOAD, timeout_s: 5, priority: 'high' },
        { function_id: otherId, payload: PAYLOAD },
      ],
      timeout_s: 9,
    });
    expect(answer.status, answer.text).to.equal(200);
    const claimed = await api.claim();
    expect(claimed.map(({ taskId }) => taskId)).to.deep.equal(answer.body['task_ids']);
    expect(claimed.map((task) => task.functionId)).to.deep.equal([functionId, otherId]);
    expect(claimed.map((task) => task.timeoutMs)).to.deep.equal([5000, 9000]);
  });

  it('say which of the fields of a submission are missing, or too many', async () => {
    const detail = async (body: unknown) => {
      const answer = await api.post('/tasks', body);
      expect(answer.status).to.equal(422);
      return answer.body['detail'];
    };
    expect(await detail({ payloads: [PAYLOAD] })).to.equal('`function_id` is missing from the body.');
    expect(await detail({ function_id: functionId })).to.equal('`payloads` is missing from the body.');
    expect(await detail({ tasks: [{ function_id: functionId }] })).to.equal(
      '`tasks[0].payload` is missing from the body.',
    );
    expect(await detail({ tasks: [{ function_id: functionId, payload: PAYLOAD }], payloads: [PAYLOAD] })).to.contain(
      '`tasks`',
    );
    expect(await detail({ function_id: functionId, payloads: [PAYLOAD], group_id: 'mine' })).to.contain('`group_id`');
    const broken = await api.post('/tasks', { tasks: [{ function_id: functionId, payload: 'no!' }] });
    expect(broken.status).to.equal(400);
    expect(broken.body['detail']).to.contain('`tasks[0].payload`');
    const unknown = await api.post('/tasks', { tasks: [{ function_id: UNKNOWN_ID, payload: PAYLOAD }] });
    expect(unknown.status).to.equal(404);
  });

  it('are cancelled whole, and tell who runs what is running', async () => {
    const { group_id, task_ids } = await submit(700);
    const running = await api.claim();
    await api.settle(running[0]!);
    api.announced.cancelled.length = 0;
    const { status, body } = await api.post(`/groups/${group_id}/cancel`);
    expect(status).to.equal(200);
    expect(body).to.deep.equal({ group_id, cancelled: 699, ended_before: 1 });
    expect(api.announced.cancelled).to.have.length(499);
    expect(await progress(group_id)).to.include({ completed: 1, cancelled: 699, queued: 0, running: 0 });
    expect((await api.get(`/status/${task_ids[650]}`)).body['status']).to.equal('CANCELLED');
    expect((await api.post(`/groups/${group_id}/cancel`)).body).to.include({ cancelled: 0, ended_before: 700 });
  });

  it('are 404 when unknown, 422 when no UUID', async () => {
    for (const [method, path] of [
      ['get', ''],
      ['get', '/results'],
      ['post', '/cancel'],
      ['post', '/close'],
    ] as const) {
      const answer = await (method === 'get'
        ? api.get(`/groups/${UNKNOWN_ID}${path}`)
        : api.post(`/groups/${UNKNOWN_ID}${path}`));
      expect(answer.status, path).to.equal(404);
      expect(answer.body['code']).to.equal('GROUP_UNKNOWN');
    }
    expect((await api.get('/groups/mine')).status).to.equal(422);
  });

  it('do not count on tasks whose submission failed half way', async () => {
    const impatient = await startApi({ redis: api.redis, groupsOptions: { unknownAfterMs: 0 } });
    try {
      const { group_id } = await submit(2);
      const taskIds = [UNKNOWN_ID];
      await impatient.groupStore.append(group_id, { taskIds, final: false, keepMs: 0 });
      expect(await progress(group_id)).to.include({ total: 3, queued: 3, unknown: 0 });
      const { body } = await impatient.get(`/groups/${group_id}`);
      expect(body).to.include({ total: 3, queued: 2, unknown: 1 });
    } finally {
      await impatient.stop();
    }
  });

  it('are kept for longer than their tasks, however these are delayed', async () => {
    const { group_id } = await submit(1, { delay_s: 30 * 86_400 });
    const ttl = await api.store['redis'].ttl(`group:${group_id}`);
    expect(ttl).to.be.within(37 * 86_400 + 590, 37 * 86_400 + 601);
  });

  it('cost Redis one small key for a request', async () => {
    await submit(1); // The queue has a key as well.
    const before = await api.store['redis'].dbsize();
    const { group_id } = await submit(100);
    expect((await api.store['redis'].dbsize()) - before).to.equal(100 + 1);
    expect(await api.store['redis'].memory('USAGE', `group:${group_id}`)).to.be.lessThan(100 * 50);
  });

  describe('in MessagePack', () => {
    const encode = (value: unknown) => Buffer.from(pack(value));

    it('are submitted without base64', async () => {
      const payloads = [PICKLE, Buffer.from('K\x07.', 'latin1')];
      const answer = await api.post('/tasks', encode({ function_id: functionId, payloads, timeout_s: 2.5 }), MSGPACK);
      expect(answer.status, answer.text).to.equal(200);
      const claimed = await api.claim();
      expect(claimed.map((task) => task.arguments)).to.deep.equal(payloads);
      expect(claimed.map(({ taskId }) => taskId)).to.deep.equal(answer.body['task_ids']);
      expect(claimed[0]!.timeoutMs).to.equal(2500);
    });

    it('are answered so when asked', async () => {
      const accept = { accept: 'text/html, application/x-msgpack;q=0.9' };
      const body = encode({ tasks: [{ function_id: functionId, payload: PICKLE }] });
      const submitted = await api.post('/tasks', body, { ...MSGPACK, ...accept });
      expect(submitted.headers['content-type']).to.equal('application/x-msgpack');
      const { task_ids, group_id } = unpack(submitted.bytes) as { task_ids: string[]; group_id: string };
      expect(await progress(group_id)).to.include({ total: 1 });
      await api.finish(await api.claim());
      const expected = { task_id: task_ids[0], status: 'COMPLETED', result: PICKLE, failure: null };
      const one = await api.get(`/result/${task_ids[0]}`, accept);
      expect(unpack(one.bytes)).to.deep.equal(expected);
      const many = await api.post('/results', { task_ids }, accept);
      expect(unpack(many.bytes)).to.deep.equal({ results: [expected] });
    });

    it('are refused when damaged, in words', async () => {
      const detail = async (body: Buffer, status = 422) => {
        const answer = await api.post('/tasks', body, MSGPACK);
        expect(answer.status, answer.text).to.equal(status);
        return answer.body['detail'];
      };
      const good = encode({ function_id: functionId, payloads: [PICKLE] });
      expect(await detail(good.subarray(0, 30))).to.contain('ends in the middle of a value');
      expect(await detail(Buffer.concat([good, good]))).to.contain('bytes after its end');
      expect(await detail(encode({ function_id: functionId, payloads: [7] }))).to.equal(
        '`payloads[0]` in the body must be binary.',
      );
      expect(await detail(encode({ function_id: 7, payloads: [PICKLE] }))).to.equal(
        '`function_id` in the body must be a string.',
      );
      expect(await detail(encode({ function_id: functionId, payloads: [Buffer.from('no')] }), 400)).to.contain(
        '`payloads[0]`',
      );
      expect(await detail(encode({ function_id: functionId, payloads: [Buffer.alloc(0)] }), 400)).to.contain(
        'is empty',
      );
      expect(await detail(encode([]))).to.equal('The body must be a JSON object.');
      // A list of 4 billion, in five bytes.
      expect(await detail(Buffer.from('ddffffffff', 'hex'))).to.contain('ends in the middle');
    });
  });
});
