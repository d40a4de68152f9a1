import { expect } from 'chai';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type ApiFixture, PAYLOAD, startApi } from './support/apiFixture.js';

describe('the API when something is away', () => {
  let api: ApiFixture;
  beforeEach(async () => {
    api = await startApi({ requestTimeoutMs: 300 });
  });
  afterEach(() => api.stop());

  async function until(condition: () => Promise<boolean>): Promise<void> {
    while (!(await condition())) await sleep(20);
  }

  it('answers 503 while Redis is away, and serves when it is back', async () => {
    const functionId = await api.functionId();
    const taskId = await api.submit();
    await api.killRedis();
    const answers: Answer[] = [
      await api.post('/register_function', { name: 'double', payload: PAYLOAD }),
      await api.post('/execute_function', { function_id: functionId, payload: PAYLOAD }),
      await api.post('/tasks', { function_id: functionId, payloads: [PAYLOAD] }),
      await api.get(`/status/${taskId}`),
      await api.get(`/result/${taskId}`),
      await api.get(`/result/${taskId}?wait=30`),
      await api.get(`/tasks/${taskId}`),
      await api.get(`/tasks/${taskId}/logs`),
      await api.post(`/tasks/${taskId}/cancel`),
      await api.post('/results', { task_ids: [taskId], wait: 30 }),
      await api.get('/workers'),
    ];
    for (const { status, headers, body, text } of answers) {
      expect(status, text).to.equal(503);
      expect(headers['retry-after']).to.equal('1');
      expect(body).to.include({ code: 'STORE_UNAVAILABLE', detail: 'The task store cannot be reached.' });
    }
    expect(api.settled.waiting).to.equal(0);
    const lines = api.logged.filter(({ code }) => code === 'STORE_UNAVAILABLE');
    expect(lines).to.have.length(answers.length);
    expect(lines[0]).to.include({ requestId: answers[0]!.headers['x-request-id'], path: '/register_function' });

    await api.redis.restart();
    await until(async () => (await api.get(`/status/${taskId}`)).status === 200);
    expect((await api.get(`/status/${taskId}`)).body['status']).to.equal('QUEUED');
    expect((await api.post('/execute_function', { function_id: functionId, payload: PAYLOAD })).status).to.equal(200);
  });

  it('goes on waiting over a restart of Redis', async () => {
    const taskId = await api.submit();
    const waiting = api.get(`/result/${taskId}?wait=30`);
    while (api.settled.waiting === 0) await sleep(1);
    await sleep(20);
    await api.killRedis();
    await api.redis.restart();
    await until(async () => (await api.get(`/status/${taskId}`)).status === 200);
    const [task] = await api.claim();
    await api.settle(task!);
    expect((await waiting).body['status']).to.equal('COMPLETED');
  });

  it('notices that a function it knew is gone after Redis came back empty', async () => {
    const functionId = await api.functionId();
    await api.killRedis();
    expect((await api.post('/execute_function', { function_id: functionId, payload: PAYLOAD })).status).to.equal(503);
    await api.redis.restart();
    await until(async () => (await api.get('/workers')).status === 200);
    await api.store['redis'].flushall();
    expect((await api.post('/execute_function', { function_id: functionId, payload: PAYLOAD })).status).to.equal(404);
  });

  it('refuses new work while it drains, and answers all else', async () => {
    const functionId = await api.functionId();
    const taskId = await api.submit();
    api.state.draining = true;
    for (const [url, body] of [
      ['/register_function', { name: 'double', payload: PAYLOAD }],
      ['/execute_function', { function_id: functionId, payload: PAYLOAD }],
      ['/tasks', { function_id: functionId, payloads: [PAYLOAD] }],
    ] as const) {
      const answer = await api.post(url, body);
      expect(answer.status).to.equal(503);
      expect(answer.body['code']).to.equal('SHUTTING_DOWN');
      expect(answer.headers['retry-after']).to.equal('1');
    }
    expect((await api.get(`/status/${taskId}`)).status).to.equal(200);
    expect((await api.get('/health/ready')).body).to.include({ ready: false, draining: true, detail: 'Stopping.' });
  });

  it('is live always, and ready while it can serve: without NATS all is slower, without Redis nothing works', async () => {
    expect((await api.get('/health/live')).body).to.deep.equal({ status: 'live' });
    const ready = { ready: true, redis: 'up', nats: 'up', draining: false, detail: 'Ready.' };
    const answer = await api.get('/health/ready');
    expect([answer.status, answer.body]).to.deep.equal([200, ready]);

    api.state.nats = false;
    const withoutNats = await api.get('/health/ready');
    expect(withoutNats.status).to.equal(200);
    expect(withoutNats.body).to.include({ ready: true, nats: 'away', detail: 'Cannot reach NATS.' });
    api.state.redis = false;
    const withoutRedis = await api.get('/health/ready');
    expect(withoutRedis.status).to.equal(503);
    expect(withoutRedis.body).to.include({ ready: false, redis: 'away', detail: 'Cannot reach Redis and NATS.' });
    expect((await api.get('/health/live')).status).to.equal(200);
  });

  it('hides faults of its own from clients, and logs them under the request id', async () => {
    api.store.readWorkers = () => Promise.reject(new Error('a secret'));
    const { status, body, text, headers } = await api.get('/workers');
    expect(status).to.equal(500);
    expect(body['code']).to.equal('INTERNAL');
    expect(body['detail']).to.contain(headers['x-request-id']);
    expect(text).not.to.contain('secret');
    const line = api.logged.find(({ code }) => code === 'INTERNAL');
    expect(line).to.include({ requestId: headers['x-request-id'], method: 'GET', path: '/workers' });
    expect(line!['err']).to.include({ message: 'a secret' });
  });

  describe('on a socket', () => {
    /** Sends the text and answers all that comes back until the server closes the connection. */
    async function exchange(text: string): Promise<string> {
      const { port } = new URL(await api.app.listen({ host: '127.0.0.1', port: 0 }));
      return new Promise((resolve, reject) => {
        const socket = connect(Number(port), '127.0.0.1', () => socket.write(text));
        let received = '';
        socket.on('data', (chunk) => (received += chunk.toString()));
        socket.on('close', () => resolve(received));
        socket.on('error', reject);
      });
    }

    const REQUEST = 'POST /register_function HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';

    it('answers 408 to a body that does not come', async () => {
      const answer = await exchange(`${REQUEST}Content-Length: 100\r\n\r\n{"name":`);
      expect(answer).to.match(/^HTTP\/1\.1 408 /);
      expect(answer).to.contain('"code":"REQUEST_TIMEOUT"');
    });

    it('answers 408 to headers that do not come', async () => {
      const answer = await exchange(REQUEST);
      expect(answer).to.match(/^HTTP\/1\.1 408 /);
      expect(answer).to.contain('"remedy":');
    });

    it('answers 400 to what is no HTTP', async () => {
      expect(await exchange('\x00\x01garbage\r\n\r\n')).to.match(/^HTTP\/1\.1 400 [^]*"detail":/);
    });

    it('answers 431 to endless headers', async () => {
      expect(await exchange(`${REQUEST}X: ${'x'.repeat(100_000)}`)).to.match(/^HTTP\/1\.1 431 [^]*"detail":/);
    });
  });
});
