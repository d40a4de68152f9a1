import { expect } from 'chai';
import { request } from 'node:http';
import { LiveOutput } from '../../api/logs/liveOutput.js';
import { cutEntry, recordEntry, recordHead } from '../../bus/outputRecord.js';
import { eventually } from '../support/eventually.js';
import { type ApiFixture, type FixtureOptions, startApi } from './support/apiFixture.js';

const LINES = 150_000;

describe('logs in the API', function () {
  this.timeout(60_000);
  let api: ApiFixture;
  afterEach(() => api.stop());

  const start = async (options: FixtureOptions = {}): Promise<void> => {
    api = await startApi(options);
  };
  const printed = async (output: Buffer): Promise<string> => {
    const taskId = await api.submit();
    const [task] = await api.claim();
    await api.settle(task!, { output });
    return taskId;
  };
  const record = (...texts: string[]): Buffer =>
    Buffer.concat([
      recordHead(1),
      ...texts.map((text) => recordEntry({ atMs: 1_000, stream: 'stdout', bytes: Buffer.from(text) })),
    ]);
  /** How often others had their turn after the store was read, until the answer was there. */
  const turnsDuring = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
    let turns = 0;
    const afterwards = <V>(value: V): V => {
      turns = 0;
      return value;
    };
    const { store } = api;
    const [readOutput, readTask] = [store.readOutput.bind(store), store.readTask.bind(store)];
    store.readOutput = (taskId) => readOutput(taskId).then(afterwards);
    store.readTask = (taskId, asker) => readTask(taskId, asker).then(afterwards);
    let turn = setImmediate(function next() {
      turns++;
      turn = setImmediate(next);
    });
    try {
      return [await work(), turns];
    } finally {
      clearImmediate(turn);
      Object.assign(store, { readOutput, readTask });
    }
  };

  it('are answered as they were printed, and say where something is missing', async () => {
    await start();
    const answer = await api.get(`/tasks/${await printed(record('a "quoted"\nü', '\nno end'))}/logs`);
    expect(answer.headers['content-type']).to.equal('application/json; charset=utf-8');
    const line = { at: '1970-01-01T00:00:01.000Z', stream: 'stdout' };
    expect(answer.body).to.deep.include({ status: 'COMPLETED', attempt: 1, truncated: false });
    expect(answer.body['lines']).to.deep.equal([
      { ...line, text: 'a "quoted"\n' },
      { ...line, text: 'ü\n' },
      { ...line, text: 'no end' },
    ]);
    const cut = await api.get(`/tasks/${await printed(Buffer.concat([record('a\n'), cutEntry(1)]))}/logs`);
    expect(cut.body['truncated']).to.equal(true);
    const silent = await api.get(`/tasks/${await printed(Buffer.alloc(0))}/logs`);
    expect(silent.body).to.deep.include({ lines: [], truncated: false });
  });

  it('of very many lines are cut in one answer, which keeps nobody waiting; as text they are whole', async () => {
    await start();
    const taskId = await printed(record('\n'.repeat(LINES)));
    const [{ body }, turns] = await turnsDuring(() => api.get(`/tasks/${taskId}/logs`));
    expect(body['lines']).to.have.length(100_000);
    expect(body['truncated']).to.equal(true);
    expect(turns).to.be.above(20);
    expect((await api.get(`/tasks/${taskId}/logs?format=text`)).text).to.have.length(LINES);
    const fits = await api.get(`/tasks/${await printed(record('\n'.repeat(100_000)))}/logs`);
    expect(fits.body['lines']).to.have.length(100_000);
    expect(fits.body['truncated']).to.equal(false);
  });

  for (const format of ['ndjson', 'sse', 'text']) {
    it(`of very many lines are followed whole, as ${format}, and keep nobody waiting`, async () => {
      await start();
      const taskId = await printed(record('first\nsec', `ond\n${'\n'.repeat(LINES)}last`));
      const [{ text }, turns] = await turnsDuring(() => api.get(`/tasks/${taskId}/logs?follow=1&format=${format}`));
      const texts = [...text.matchAll(/"text":"(.*?)"/g)].map(([, found]) => found);
      if (format === 'text') expect(text === `first\nsecond\n${'\n'.repeat(LINES)}last`).to.equal(true);
      else {
        expect([texts[0], texts[1], texts.at(-1)]).to.deep.equal(['first\\n', 'second\\n', 'last']);
        expect(texts).to.have.length(LINES + 3);
      }
      if (format !== 'text') expect(turns).to.be.above(20);
    });
  }

  /** What a client on a real socket has got so far, and how its answer ended. */
  const follow = async (taskId: string, format: string) => {
    const url = await api.app.listen({ host: '127.0.0.1', port: 0 });
    const got = { text: '', status: 0 };
    const ended = new Promise<'whole' | 'broken'>((resolve, reject) => {
      const options = { agent: false };
      const call = request(`${url}/tasks/${taskId}/logs?follow=1&format=${format}`, options, (response) => {
        got.status = response.statusCode ?? 0;
        response.setEncoding('utf8').on('data', (chunk: string) => (got.text += chunk));
        response.on('error', () => undefined);
        response.once('close', () => resolve(response.complete ? 'whole' : 'broken'));
      });
      call.once('error', reject).end();
    });
    return { got, ended };
  };
  /** One that runs and has printed, as its worker tells. */
  const running = async (text: string): Promise<string> => {
    const taskId = await api.submit();
    await api.claim();
    told = { taskId, bytes: record(text) };
    return taskId;
  };
  let told: { taskId: string; bytes: Buffer } | undefined;
  const startLive = (options: FixtureOptions = {}): Promise<void> => {
    told = undefined;
    const live = new LiveOutput(({ taskId, from }) => {
      if (told?.taskId !== taskId) return;
      const { bytes } = told;
      setImmediate(() =>
        live.onOutput({ taskId, attempt: 1, offset: from, length: bytes.length, bytes: bytes.subarray(from) }),
      );
    });
    return start({ live, ...options });
  };
  const END = { end: true, reason: 'closing', status: 'RUNNING', attempt: 1, truncated: false };

  for (const [format, heartbeat, ending] of [
    ['ndjson', '\n', `\n${JSON.stringify(END)}\n`],
    ['sse', ': still here\n\n', `\n\ndata: ${JSON.stringify(END)}\n\n`],
  ] as const) {
    it(`give signs of life, and tell that they go on elsewhere when the API stops, as ${format}`, async () => {
      await startLive({ streamHeartbeatMs: 30 });
      const { got, ended } = await follow(await running('one\ntw'), format);
      await eventually('it is silent', () => got.text.endsWith(heartbeat.repeat(3)));
      void api.app.close();
      expect(await ended).to.equal('whole');
      expect(got.text).to.include('"text":"one\\n"').and.not.to.include('tw');
      expect(got.text.endsWith(ending), got.text).to.equal(true);
    });
  }

  it('break as text when the API stops, where nothing else can tell that they go on', async () => {
    await startLive();
    const { got, ended } = await follow(await running('one\ntw'), 'text');
    await eventually('it is there', () => got.text === 'one\ntw');
    void api.app.close();
    expect(await ended).to.equal('broken');
  });

  it('are refused as text by an API that stops before it had something to send', async () => {
    await startLive();
    const taskId = await running('');
    told = undefined;
    const { got, ended } = await follow(taskId, 'text');
    await eventually('it is followed', () => api.settled.waiting === 1);
    void api.app.close();
    await ended;
    expect(got.status).to.equal(503);
    expect(got.text).to.include('SHUTTING_DOWN');
  });
});
