import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiFixture, PAYLOAD, startApi } from './support/apiFixture.js';

describe('Idempotency-Key', () => {
  let api: ApiFixture;
  let functionId: string;
  let body: Record<string, unknown>;
  let keys = 0;
  let headers: Record<string, string>;
  before(async () => {
    api = await startApi();
    functionId = await api.functionId();
    body = { function_id: functionId, payloads: [PAYLOAD, PAYLOAD, PAYLOAD] };
  });
  after(() => api.stop());
  beforeEach(async () => {
    headers = { 'idempotency-key': `key-${++keys}` };
    await api.claim();
  });

  it('answers a repeated batch as the first time, and runs its tasks once', async () => {
    const first = await api.post('/tasks', body, headers);
    expect(first.status).to.equal(200);
    const claimed = await api.claim();
    await api.finish(claimed);
    const second = await api.post('/tasks', body, headers);
    expect([second.status, second.text]).to.deep.equal([200, first.text]);
    expect(claimed.map(({ taskId }) => taskId)).to.deep.equal(first.body['task_ids']);
    expect(await api.claim()).to.be.empty;
    const group = (await api.get(`/groups/${String(first.body['group_id'])}`)).body;
    expect(group).to.include({ total: 3, completed: 3 });
  });

  it('answers a repeated task as the first time', async () => {
    const task = { function_id: functionId, payload: PAYLOAD };
    const first = await api.post('/execute_function', task, headers);
    const second = await api.post('/execute_function', task, headers);
    expect([second.status, second.text]).to.deep.equal([200, first.text]);
    expect(await api.claim()).to.have.length(1);
  });

  it('adds to a group once', async () => {
    const group_id = String((await api.post('/groups')).body['group_id']);
    await api.post('/tasks', { ...body, group_id }, headers);
    await api.post('/tasks', { ...body, group_id }, { 'idempotency-key': 'another' });
    await api.post('/tasks', { ...body, group_id }, headers);
    expect((await api.get(`/groups/${group_id}`)).body).to.include({ total: 6 });
  });

  it('answers 409 to another body, or another route', async () => {
    await api.post('/tasks', body, headers);
    for (const answer of [
      await api.post('/tasks', { ...body, payloads: [PAYLOAD] }, headers),
      await api.post('/execute_function', { function_id: functionId, payload: PAYLOAD }, headers),
    ]) {
      expect(answer.status).to.equal(409);
      expect(answer.body['code']).to.equal('IDEMPOTENCY_MISMATCH');
    }
    expect(await api.claim()).to.have.length(3);
  });

  it('holds among many at once, through several APIs', async () => {
    const other = await startApi({ redis: api.redis });
    try {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) => (index % 2 ? api : other).post('/tasks', body, headers)),
      );
      expect(new Set(answers.map(({ text }) => text)).size).to.equal(1);
      expect(answers[0]!.status).to.equal(200);
      expect(await api.claim()).to.have.length(3);
      const group = (await api.get(`/groups/${String(answers[0]!.body['group_id'])}`)).body;
      expect(group).to.include({ total: 3 });
    } finally {
      await other.stop();
    }
  });

  it('completes what a crash had left half done', async () => {
    const submit = api.store.submit.bind(api.store);
    api.store.submit = () => Promise.reject(new Error('crash'));
    expect((await api.post('/tasks', body, headers)).status).to.equal(500);
    api.store.submit = submit;
    const { status, body: answer } = await api.post('/tasks', body, headers);
    expect(status).to.equal(200);
    expect((await api.claim()).map(({ taskId }) => taskId)).to.deep.equal(answer['task_ids']);
    expect((await api.get(`/groups/${String(answer['group_id'])}`)).body).to.include({ total: 3, running: 3 });
  });

  it('is not used up by a request that is refused', async () => {
    expect((await api.post('/tasks', { ...body, payloads: ['no!'] }, headers)).status).to.equal(400);
    expect((await api.post('/tasks', body, headers)).status).to.equal(200);
  });

  it('is forgotten before the tasks are', async () => {
    await api.post('/tasks', body, headers);
    expect(await api.store['redis'].ttl(`idempotency:${headers['idempotency-key']}`)).to.be.within(590, 600);
  });

  it('must be presentable', async () => {
    for (const key of ['with space', 'x'.repeat(256)]) {
      const answer = await api.post('/tasks', body, { 'idempotency-key': key });
      expect(answer.status).to.equal(422);
      expect(answer.body['detail']).to.contain('`idempotency-key` in the headers');
    }
    await sleep(0);
  });
});
