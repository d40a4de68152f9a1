import { expect } from 'chai';
import { type Answer, type ApiFixture, PAYLOAD, PICKLE, startApi } from './support/apiFixture.js';

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const base64 = (bytes: Buffer | number[]): string => Buffer.from(bytes).toString('base64');

describe('bad input to the API', () => {
  let api: ApiFixture;
  let functionId: string;
  before(async () => {
    api = await startApi({ config: { maxBodyBytes: 64 * 1024, maxArgumentBytes: 32 * 1024 } });
    functionId = await api.functionId();
  });
  after(() => api.stop());

  function expectError(answer: Answer, status: number, code: string, detail: string | RegExp): void {
    expect(answer.status, answer.text).to.equal(status);
    expect(answer.body['code']).to.equal(code);
    expect(answer.body['detail']).to.match(typeof detail === 'string' ? new RegExp(escape(detail)) : detail);
    expect(answer.body['remedy']).to.be.a('string');
    expect(answer.text).not.to.match(/at .*\.js:\d+/); // no stack traces
  }

  it('arguments that are larger than a task may have are 413, and nothing of the request is taken', async () => {
    const large = Buffer.concat([
      Buffer.from('800442', 'hex'),
      Buffer.alloc(4),
      Buffer.alloc(40_000),
      Buffer.from('.'),
    ]);
    large.writeUInt32LE(40_000, 3);
    const detail = 'Arguments of 40008 bytes were sent, and a task may have 32768.';
    const one = { function_id: functionId, payload: base64(large) };
    expectError(await api.post('/execute_function', one), 413, 'ARGUMENTS_TOO_LARGE', detail);
    const many = { function_id: functionId, payloads: [PAYLOAD, base64(large)] };
    expectError(await api.post('/tasks', many), 413, 'ARGUMENTS_TOO_LARGE', detail);
    expect(await api.claim()).to.deep.equal([]);
  });

  describe('422, the field named', () => {
    const body422: [name: string, url: string, body: unknown, detail: string | RegExp][] = [
      ['malformed JSON', '/register_function', '{"name": "f", ', /^The body is not JSON: /],
      ['no body', '/register_function', undefined, 'The body must be a JSON object.'],
      ['an array for a body', '/register_function', [], 'The body must be a JSON object.'],
      ['null for a body', '/register_function', 'null', 'The body must be a JSON object.'],
      ['a missing name', '/register_function', { payload: PAYLOAD }, '`name` is missing from the body.'],
      ['a missing payload', '/register_function', { name: 'f' }, '`payload` is missing from the body.'],
      ['a missing function id', '/execute_function', { payload: PAYLOAD }, '`function_id` is missing from the body.'],
      ['a number for a name', '/register_function', { name: 5, payload: PAYLOAD }, '`name` in the body must be a string.'],
      ['too long a name', '/register_function', { name: 'f'.repeat(1_001), payload: PAYLOAD }, '`name` in the body must have at most 1000 characters.'],
      ['a number for a payload', '/register_function', { name: 'f', payload: 5 }, '`payload` in the body must be a string.'],
      ['null for a payload', '/register_function', { name: 'f', payload: null }, '`payload` in the body must be a string.'],
      ['an object for a payload', '/register_function', { name: 'f', payload: {} }, '`payload` in the body must be a'],
      ['an id that is no UUID', '/execute_function', { function_id: 'f', payload: PAYLOAD }, '`function_id` in the body must be a UUID.'],
      ['a number for an id', '/execute_function', { function_id: 1, payload: PAYLOAD }, '`function_id` in the body must be a string.'],
      ['a `__proto__` key', '/register_function', `{"name":"f","payload":"x","__proto__":{"a":1}}`, '__proto__'],
      ['a nested, escaped `__proto__` key', '/register_function', `{"name":"f","x":[{"\\u005f_proto__":1}]}`, '__proto__'],
      ['no payloads', '/tasks', { function_id: '', payloads: [] }, /`function_id`|`payloads`/],
      ['an empty list of ids', '/results', { task_ids: [] }, '`task_ids` in the body must not be empty.'],
      ['a list with something that is no UUID', '/results', { task_ids: ['x'] }, '`task_ids[0]` in the body must be a UUID.'],
      ['too long a wait', '/results', { task_ids: ['00000000-0000-4000-8000-000000000000'], wait: 61 }, '`wait` in the body must be at most 60.'],
    ]; // prettier-ignore
    for (const [name, url, body, detail] of body422) {
      it(name, async () => {
        expectError(await api.post(url, body), 422, 'VALIDATION_FAILED', detail);
      });
    }

    const options422: [option: Record<string, unknown>, detail: string][] = [
      [{ timeout_s: -1 }, '`timeout_s` in the body must be at least 0.'],
      [{ timeout_s: '5' }, '`timeout_s` in the body must be a number.'],
      [{ max_attempts: 0 }, '`max_attempts` in the body must be at least 1.'],
      [{ max_attempts: 1.5 }, '`max_attempts` in the body must be an integer.'],
      [{ priority: 'urgent' }, '`priority` in the body must be one of high, normal, low.'],
      [{ delay_s: 1e12 }, '`delay_s` in the body must be at most 31536000.'],
    ];
    for (const [option, detail] of options422) {
      it(`a task with ${JSON.stringify(option)}`, async () => {
        const answer = await api.post('/execute_function', { function_id: functionId, payload: PAYLOAD, ...option });
        expectError(answer, 422, 'VALIDATION_FAILED', detail);
      });
    }

    for (const id of ['1', 'not-a-uuid', 'x'.repeat(500), '0'.repeat(32), '%00', 'ä']) {
      it(`the task id ${JSON.stringify(id.slice(0, 40))} in a path`, async () => {
        for (const url of [`/status/${id}`, `/result/${id}`, `/tasks/${id}`, `/tasks/${id}/logs`]) {
          expectError(await api.get(url), 422, 'VALIDATION_FAILED', '`task_id` in the path must be a UUID.');
        }
      });
    }

    it('a path that is not properly encoded', async () => {
      expectError(await api.get('/status/%zz'), 422, 'VALIDATION_FAILED', /encoded|UUID/);
    });

    for (const wait of ['abc', '', '-1', '61', 'NaN', '1&wait=2']) {
      it(`wait=${wait}`, async () => {
        const taskId = await api.submit();
        expectError(
          await api.get(`/result/${taskId}?wait=${wait}`),
          422,
          'VALIDATION_FAILED',
          '`wait` in the query must',
        );
      });
    }
  });

  describe('400, the payload', () => {
    const payload400: [name: string, payload: string, code: string, detail: string | RegExp][] = [
      ['empty', '', 'PAYLOAD_NOT_BASE64', '`payload` is empty.'],
      ['blank lines', '\n\n', 'PAYLOAD_NOT_BASE64', '`payload` is empty.'],
      ['no base64', 'payload', 'PAYLOAD_NOT_BASE64', '`payload` is not base64'],
      ['spaces in the base64', 'gAROL i4=', 'PAYLOAD_NOT_BASE64', /not base64/],
      ['the URL alphabet', 'gA-_Lg==', 'PAYLOAD_NOT_BASE64', '"-" at position 2'],
      ['characters beyond Latin-1', 'ŁUJD', 'PAYLOAD_NOT_BASE64', '"Ł" at position 0'],
      ['missing padding', PAYLOAD.trim().replaceAll('=', ''), 'PAYLOAD_NOT_BASE64', 'not a multiple of four'],
      ['padding in the middle', 'Tg==Li4u', 'PAYLOAD_NOT_BASE64', 'padding'],
      ['plain text', base64(Buffer.from('hello world')), 'PAYLOAD_NOT_PICKLE', 'The pickle in `payload` '],
      ['no STOP opcode', base64(PICKLE.subarray(0, -1)), 'PAYLOAD_NOT_PICKLE', 'ends before its STOP opcode'],
      ['bytes after STOP', base64([...PICKLE, 0x2e, 0x2e]), 'PAYLOAD_NOT_PICKLE', 'goes on for 2 bytes after'],
      ['an absurd length prefix', base64([0x80, 4, 0x42, 255, 255, 255, 127, 0x2e]), 'PAYLOAD_NOT_PICKLE', 'announces 2147483647 bytes where 1 follow'],
      ['an absurd memo index', base64([0x80, 4, 0x4e, 0x72, 255, 255, 255, 127, 0x2e]), 'PAYLOAD_NOT_PICKLE', 'absurd memo index 2147483647'],
      ['an unknown protocol', base64([0x80, 6, 0x4e, 0x2e]), 'PAYLOAD_NOT_PICKLE', 'unknown protocol 6'],
      ['an unknown opcode', base64([0x80, 4, 0xff, 0x2e]), 'PAYLOAD_NOT_PICKLE', 'unknown opcode 0xff'],
    ]; // prettier-ignore
    for (const [name, payload, code, detail] of payload400) {
      it(name, async () => {
        expectError(await api.post('/register_function', { name: 'f', payload }), 400, code, detail);
        const task = { function_id: functionId, payload };
        expectError(await api.post('/execute_function', task), 400, code, detail);
      });
    }

    it('names the one of many that is wrong, and submits none', async () => {
      await api.claim();
      const answer = await api.post('/tasks', { function_id: functionId, payloads: [PAYLOAD, '!', PAYLOAD] });
      expectError(answer, 400, 'PAYLOAD_NOT_BASE64', '`payloads[1]` is not base64');
      expect(await api.claim()).to.have.length(0);
    });
  });

  it('413, a body over the limit', async () => {
    const answer = await api.post('/register_function', { name: 'f', payload: 'A'.repeat(70_000) });
    expectError(answer, 413, 'BODY_TOO_LARGE', 'larger than this server takes');
  });

  it('415, another content type', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      const answer = await api.post('/register_function', '{}', { 'content-type': type });
      expectError(answer, 415, 'UNSUPPORTED_MEDIA_TYPE', 'content type');
    }
  });

  it('404, an unknown route or method', async () => {
    expectError(await api.get('/nowhere'), 404, 'NOT_FOUND', 'There is nothing at GET /nowhere.');
    expectError(await api.post('/nowhere', {}), 404, 'NOT_FOUND', 'There is nothing at POST /nowhere.');
    expectError(await api.get('/register_function'), 404, 'NOT_FOUND', 'GET /register_function');
  });

  it('a string that merely mentions `__proto__` is no key', async () => {
    const body = { name: '"__proto__":', payload: PAYLOAD, comment: '\u0001__proto__' };
    expect((await api.post('/register_function', body)).status).to.equal(200);
  });
});
