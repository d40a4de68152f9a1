import type { Random } from '../../simulation/random.js';
import { PAYLOAD, PICKLE, UNKNOWN_ID } from './apiFixture.js';
import { post, request } from './rawHttp.js';

/** One way to abuse an HTTP server on a connection. */
export interface Abuse {
  readonly name: string;
  readonly parts: (random: Random) => Buffer[];
  /** How the API may answer; none: it hangs up, or what was sent is no request yet. */
  readonly answers: readonly number[];
  /** Hangs up in the middle, without waiting for an answer. */
  readonly hangsUp?: boolean;
  /** The API hangs up while more is coming: the reset may be faster than the answer. */
  readonly cutOff?: boolean;
}

const MSGPACK = { 'Content-Type': 'application/x-msgpack' };
const CHUNKED = { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' };
const chunk = (data: string): Buffer => Buffer.from(`${data.length.toString(16)}\r\n${data}\r\n`);

function noise(random: Random, most: number): Buffer {
  return Buffer.from(Array.from({ length: random.integer(1, most) }, () => random.integer(0, 255)));
}

/** A good request with some of its bytes changed. */
function damaged(random: Random, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let count = random.integer(1, 8); count > 0; count--)
    copy[random.integer(0, copy.length - 1)] = random.integer(0, 255);
  return copy;
}

const task = (payload: string): string => JSON.stringify({ function_id: UNKNOWN_ID, payload });
/** Anything that JSON can say, for fields that want something else. */
function anyValue(random: Random): unknown {
  const values = [
    null,
    true,
    -1,
    1e308,
    '',
    'x',
    '\u0000',
    '__proto__',
    [],
    [[]],
    {},
    { length: 1e9 },
    '0'.repeat(10_000),
  ];
  return random.pick<unknown>(values);
}

/** A pickle's opcodes with absurd operands, cut off, or followed by more. */
function badPickle(random: Random): Buffer {
  return random.pick([
    () => noise(random, 2_000),
    () => PICKLE.subarray(0, random.integer(1, PICKLE.length - 1)),
    () => Buffer.concat([PICKLE, noise(random, 20)]),
    () => Buffer.from([0x80, 4, 0x42, 255, 255, 255, 127, 0x2e]),
    () => Buffer.from([0x80, 4, 0x8e, ...Array<number>(8).fill(255), 0x2e]),
    () => Buffer.from([0x80, 4, 0x4e, 0x72, 255, 255, 255, 127, 0x2e]),
    () => Buffer.from([0x80, random.integer(6, 255), 0x4e, 0x2e]),
    () => Buffer.concat([Buffer.alloc(200_000, 0x28), Buffer.from('.')]),
  ])();
}

/** `limit`: the most bytes that the API takes as a body. */
export const abuses = (limit: number): readonly Abuse[] => [
  { name: 'noise', parts: (random) => [noise(random, 4_096)], answers: [400] },
  { name: 'noise without end of line', parts: () => [Buffer.alloc(300_000, 'G')], answers: [400, 431], cutOff: true },
  {
    name: 'TLS',
    parts: (random) => [Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), noise(random, 500)],
    answers: [400],
  },
  { name: 'HTTP/2', parts: () => [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')], answers: [400] },
  {
    name: 'half a request line',
    parts: () => [Buffer.from('POST /execute_fun')],
    answers: [],
    hangsUp: true,
  },
  { name: 'half the headers', parts: () => [post('/tasks', '{}').subarray(0, 50)], answers: [], hangsUp: true },
  {
    name: 'half a body',
    parts: () => [post('/tasks', task(PAYLOAD), { 'Content-Length': '60000' })],
    answers: [],
    hangsUp: true,
  },
  {
    name: 'a damaged request',
    parts: (random) => [damaged(random, post('/execute_function', task(PAYLOAD)))],
    answers: [400, 404, 408, 413, 415, 422, 431],
    hangsUp: true,
  },
  {
    name: 'malformed JSON',
    parts: (random) => [post('/tasks', `{"x":${noise(random, 50).toString('hex')}`)],
    answers: [422],
  },
  {
    name: 'wrong types',
    parts: (random) => {
      const fields = ['function_id', 'payload', 'payloads', 'tasks', 'name', 'task_ids', 'wait', 'options'];
      const body = Object.fromEntries(fields.map((field) => [field, anyValue(random)]));
      const path = random.pick(['/execute_function', '/register_function', '/tasks', '/results']);
      return [post(path, JSON.stringify(body))];
    },
    answers: [400, 422],
  },
  {
    name: 'no object',
    parts: (random) => [post('/tasks', JSON.stringify(random.pick([null, 7, 'x', [], [1]])))],
    answers: [422],
  },
  {
    name: '__proto__',
    parts: (random) => {
      const key = random.pick(['__proto__', '\\u005f_proto__', '__pr\\u006fto__']);
      return [post('/register_function', `{"name":"f","payload":"x","a":[{"${key}":{"polluted":true}}]}`)];
    },
    answers: [422],
  },
  {
    name: 'constructor.prototype',
    parts: () => [post('/tasks', '{"constructor":{"prototype":{"polluted":true}},"toString":1,"hasOwnProperty":1}')],
    answers: [422],
  },
  { name: 'deep JSON', parts: () => [post('/tasks', `${'['.repeat(100_000)}${']'.repeat(100_000)}`)], answers: [422] },
  {
    name: 'deep JSON in a field',
    parts: () => [post('/execute_function', `{"payload":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`)],
    answers: [422],
  },
  {
    name: 'deep JSON with a __proto__',
    parts: () => [post('/execute_function', `{"x":${'{"a":'.repeat(50_000)}{"__proto__":1}${'}'.repeat(50_000)}}`)],
    answers: [422],
  },
  { name: 'deep MessagePack', parts: () => [post('/tasks', Buffer.alloc(100_000, 0x91), MSGPACK)], answers: [422] },
  {
    name: 'MessagePack of absurd lengths',
    parts: (random) => [
      post('/tasks', Buffer.from([random.pick([0xdd, 0xdf, 0xc6, 0xdb]), 255, 255, 255, 255]), MSGPACK),
    ],
    answers: [422],
  },
  { name: 'MessagePack of noise', parts: (random) => [post('/tasks', noise(random, 2_000), MSGPACK)], answers: [422] },
  {
    name: 'a bad pickle',
    parts: (random) => {
      const payload = badPickle(random).toString('base64');
      return [post('/register_function', JSON.stringify({ name: 'f', payload }))];
    },
    answers: [400],
  },
  {
    name: 'no base64',
    parts: (random) => [post('/execute_function', task(noise(random, 500).toString('latin1')))],
    answers: [400],
  },
  { name: 'an unknown function', parts: () => [post('/execute_function', task(PAYLOAD))], answers: [404] },
  {
    name: 'an id that is none',
    parts: (random) => [request('GET', `/status/${noise(random, 200).toString('hex')}x`, {})],
    answers: [422],
  },
  {
    name: 'a path that climbs',
    parts: () => [request('GET', '/docs/static/..%2f..%2f..%2fetc/passwd', {})],
    answers: [400, 403, 404, 422],
  },
  { name: 'a long path', parts: () => [request('GET', `/${'x/'.repeat(5_000)}`, {})], answers: [404] },
  {
    name: 'an endless path',
    parts: () => [request('GET', `/${'x'.repeat(100_000)}`, {})],
    answers: [400, 414, 431],
    cutOff: true,
  },
  {
    name: 'a huge header',
    parts: () => [request('GET', '/health/live', { X: 'x'.repeat(200_000) })],
    answers: [431],
    cutOff: true,
  },
  {
    name: 'thousands of headers',
    parts: () => [request('GET', '/', Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`X-${n}`, 'x'])))],
    answers: [431],
    cutOff: true,
  },
  {
    name: 'another content type',
    parts: () => [post('/tasks', 'a=1', { 'Content-Type': 'text/plain' })],
    answers: [415],
  },
  {
    name: 'another method',
    parts: (random) => [request(random.pick(['PUT', 'PATCH', 'DELETE', 'TRACE']), '/tasks', {})],
    answers: [404],
  },
  {
    name: 'two lengths',
    parts: () => [request('POST', '/tasks', { 'Content-Length': '2', 'content-length': '5' }, '{}xxx')],
    answers: [400],
  },
  { name: 'a negative length', parts: () => [post('/tasks', '{}', { 'Content-Length': '-1' })], answers: [400] },
  {
    name: 'a length that is no number',
    parts: () => [post('/tasks', '{}', { 'Content-Length': '2e3' })],
    answers: [400],
  },
  {
    name: 'an absurd length',
    parts: () => [post('/tasks', '{}', { 'Content-Length': '999999999999999' })],
    answers: [413],
  },
  {
    name: 'a length beyond 2^64',
    parts: () => [post('/tasks', '{}', { 'Content-Length': '9'.repeat(40) })],
    answers: [400],
  },
  {
    name: 'too short a length',
    parts: () => [post('/tasks', task(PAYLOAD), { 'Content-Length': '5' })],
    // What follows the body is no request, and may be seen first.
    answers: [400, 422],
    cutOff: true,
  },
  {
    name: 'length and chunks, as smugglers do',
    parts: () => [request('POST', '/tasks', { ...CHUNKED, 'Content-Length': '4' }, '0\r\n\r\nGET / HTTP/1.1\r\n\r\n')],
    answers: [400],
  },
  { name: 'chunks of no length', parts: () => [request('POST', '/tasks', CHUNKED, 'zz\r\n{}\r\n')], answers: [400] },
  {
    name: 'a chunk of absurd length',
    parts: () => [request('POST', '/tasks', CHUNKED, 'ffffffffffffffffff\r\n{}')],
    answers: [400],
  },
  {
    name: 'a length over the limit',
    parts: () => oversized(limit, { 'Content-Length': String(limit + 1) }),
    answers: [413],
  },
  {
    name: 'chunks beyond the limit',
    parts: () => [request('POST', '/tasks', CHUNKED), ...Array<Buffer>(33).fill(chunk('A'.repeat(limit / 32)))],
    answers: [413],
  },
];

function oversized(limit: number, headers: Record<string, string>): Buffer[] {
  return [post('/tasks', '', headers), ...Array<Buffer>(32).fill(Buffer.alloc(limit / 32, 'A'))];
}
