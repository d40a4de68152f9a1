import { expect } from 'chai';
import { type ApiFixture, PAYLOAD, PICKLE, startApi, UNKNOWN_ID } from './support/apiFixture.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('the course API', () => {
  let api: ApiFixture;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  it('registers a function and answers its id', async () => {
    const { status, body } = await api.post('/register_function', { name: 'double', payload: PAYLOAD });
    expect(status).to.equal(200);
    expect(body).to.have.all.keys('function_id');
    expect(body['function_id']).to.match(UUID);
  });

  it('answers the same id for the same function', async () => {
    expect(await api.functionId()).to.equal(await api.functionId());
  });

  it('takes a task from QUEUED over RUNNING to COMPLETED, with its result', async () => {
    const taskId = await api.submit();
    expect(taskId).to.match(UUID);
    expect((await api.get(`/status/${taskId}`)).body).to.deep.equal({ task_id: taskId, status: 'QUEUED' });
    expect((await api.get(`/result/${taskId}`)).body).to.deep.equal({ task_id: taskId, status: 'QUEUED', result: '' });

    const [task] = await api.claim();
    expect(task!.taskId).to.equal(taskId);
    expect((await api.get(`/status/${taskId}`)).body).to.deep.equal({ task_id: taskId, status: 'RUNNING' });

    await api.settle(task!);
    expect((await api.get(`/status/${taskId}`)).body).to.deep.equal({ task_id: taskId, status: 'COMPLETED' });
    const { status, body } = await api.get(`/result/${taskId}`);
    expect(status).to.equal(200);
    expect(body).to.deep.equal({ task_id: taskId, status: 'COMPLETED', result: PAYLOAD });
  });

  it('answers FAILED with the exception as the function pickled it', async () => {
    const taskId = await api.submit();
    const [task] = await api.claim();
    const failure = { type: 'UserException', message: 'no', exception: 'ValueError' } as const;
    await api.settle(task!, { event: 'task.raised', payload: PICKLE, failure });
    const { body } = await api.get(`/result/${taskId}`);
    expect(body).to.deep.equal({ task_id: taskId, status: 'FAILED', result: PAYLOAD });
  });

  it('hands the arguments on as they came, newlines in the base64 or not', async () => {
    await api.submit({ payload: PAYLOAD });
    await api.submit({ payload: PAYLOAD.trim() });
    await api.submit({ payload: PAYLOAD.replaceAll('\n', '\r\n') });
    const claimed = await api.claim();
    expect(claimed.map((task) => task.arguments.toString('hex'))).to.deep.equal(Array(3).fill(PICKLE.toString('hex')));
  });

  it('tells dispatchers of what it queued, and logs the transition', async () => {
    api.announced.queued.length = 0;
    api.announced.transitions.length = 0;
    const taskId = await api.submit();
    const delayedId = await api.submit({ delay_s: 60 });
    // Of the delayed one that there is something to look out for.
    expect(api.announced.queued).to.deep.equal([1, 0]);
    expect(api.announced.transitions).to.deep.equal([
      ['task', taskId, 'new', 'task.submitted', 'queued'],
      ['task', delayedId, 'new', 'task.submitted', 'delayed'],
    ]);
  });

  it('gathers the submissions of concurrent requests', async () => {
    await api.functionId();
    api.announced.queued.length = 0;
    const taskIds = await Promise.all(Array.from({ length: 50 }, () => api.submit()));
    expect(new Set(taskIds).size).to.equal(50);
    expect(api.announced.queued.reduce((sum, count) => sum + count, 0)).to.equal(50);
    expect(api.announced.queued.length).to.be.lessThan(25);
  });

  it('serves every route with a trailing slash', async () => {
    const registered = await api.post('/register_function/', { name: 'double', payload: PAYLOAD });
    const functionId = registered.body['function_id'];
    const submitted = await api.post('/execute_function/', { function_id: functionId, payload: PAYLOAD });
    const taskId = String(submitted.body['task_id']);
    for (const url of [`/status/${taskId}/`, `/result/${taskId}/`, `/tasks/${taskId}/`, '/workers/', '/health/live/']) {
      expect((await api.get(url)).status, url).to.equal(200);
    }
  });

  it('ignores fields it does not know', async () => {
    const extra = { comment: 'hello', nested: { deep: [1] }, null: null };
    const { status, body } = await api.post('/register_function', { name: 'double', payload: PAYLOAD, ...extra });
    expect(status).to.equal(200);
    const submission = { function_id: body['function_id'], payload: PAYLOAD, ...extra };
    expect((await api.post('/execute_function', submission)).status).to.equal(200);
  });

  it('takes ids in upper case, and of any UUID version', async () => {
    const taskId = await api.submit();
    expect((await api.get(`/status/${taskId.toUpperCase()}`)).body['task_id']).to.equal(taskId);
    const functionId = (await api.functionId()).toUpperCase();
    expect((await api.post('/execute_function', { function_id: functionId, payload: PAYLOAD })).status).to.equal(200);
    for (const version of [1, 3, 4, 5, 6, 7, 8]) {
      const unknown = `00000000-0000-${version}000-8000-000000000000`;
      expect((await api.get(`/status/${unknown}`)).status).to.equal(404);
    }
  });

  it('answers 404 with a detail for unknown functions and tasks', async () => {
    const answers = [
      await api.post('/execute_function', { function_id: UNKNOWN_ID, payload: PAYLOAD }),
      await api.get(`/status/${UNKNOWN_ID}`),
      await api.get(`/result/${UNKNOWN_ID}`),
      await api.get(`/result/${UNKNOWN_ID}?wait=5`),
    ];
    for (const { status, body } of answers) {
      expect(status).to.equal(404);
      expect(body['detail']).to.contain(UNKNOWN_ID);
    }
    expect(answers.map(({ body }) => body['code'])).to.deep.equal([
      'FUNCTION_UNKNOWN',
      ...Array<string>(3).fill('TASK_UNKNOWN'),
    ]);
  });

  it('says at / what it is and where to go', async () => {
    const { status, body } = await api.get('/');
    expect(status).to.equal(200);
    expect(body).to.include({ name: 'mpcsfaas', version: '1.2.3' });
    expect(body['links']).to.include({ documentation: '/docs', openapi: '/openapi.json' });
  });

  it('answers every request with an id, the one the client gave if it is presentable', async () => {
    const first = await api.get('/');
    const second = await api.get('/nowhere');
    expect(first.headers['x-request-id']).to.be.a('string').that.does.not.equal(second.headers['x-request-id']);
    const given = await api.app.inject({ url: '/', headers: { 'x-request-id': 'abc-1' } });
    expect(given.headers['x-request-id']).to.equal('abc-1');
    const forged = await api.app.inject({ url: '/', headers: { 'x-request-id': 'a'.repeat(500) } });
    expect(forged.headers['x-request-id']).to.have.length.below(65);
  });

  it('takes options of a task as extra fields', async () => {
    const taskId = await api.submit({ timeout_s: 1.5, max_attempts: 7, priority: 'high', delay_s: 0 });
    const { body } = await api.get(`/tasks/${taskId}`);
    expect(body).to.include({ timeout_s: 1.5, max_attempts: 7, priority: 'high', state: 'queued' });
  });
});
