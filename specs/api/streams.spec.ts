import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ClaimedTask } from '../../bus/taskStore.js';
import { type ApiFixture, type FixtureOptions, PAYLOAD, PICKLE, startApi, UNKNOWN_ID } from './support/apiFixture.js';
import { ResultReader } from './support/resultReader.js';

const POLL_MS = 50;
/** No poll within a spec: what arrives came by event. */
const NEVER_MS = 600_000;
const MEBIBYTE = 1024 * 1024;

describe('streams of results', () => {
  let api: ApiFixture;
  let url: string;
  let functionId: string;
  let readers: ResultReader[] = [];

  async function start(options: FixtureOptions = {}): Promise<void> {
    api = await startApi({ groupsOptions: { pollMs: NEVER_MS }, ...options });
    url = await api.app.listen({ host: '127.0.0.1', port: 0 });
    functionId = await api.functionId();
  }

  async function submit(count: number, more: Record<string, unknown> = {}, through = api): Promise<string> {
    const payloads = Array<string>(count).fill(PAYLOAD);
    const { status, body, text } = await through.post('/tasks', { function_id: functionId, payloads, ...more });
    expect(status, text).to.equal(200);
    return String(body['group_id']);
  }

  async function open(groupId: string, query = '', headers: Record<string, string> = {}): Promise<ResultReader> {
    const reader = await ResultReader.open(`${url}/groups/${groupId}/results${query}`, headers);
    readers.push(reader);
    return reader;
  }

  async function claimAll(): Promise<ClaimedTask[]> {
    const all: ClaimedTask[] = [];
    for (let some = await api.claim(); some.length > 0; some = await api.claim()) all.push(...some);
    return all;
  }

  const range = (count: number) => [...Array(count).keys()];
  const sorted = (indexes: number[]) => indexes.toSorted((a, b) => a - b);

  afterEach(async () => {
    for (const reader of readers) reader.disconnect();
    readers = [];
    await api.stop();
  });

  it('send each result as its task ends, and end with the last one', async () => {
    await start();
    const groupId = await submit(3);
    const tasks = await claimAll();
    const reader = await open(groupId);
    expect(reader.response.headers['content-type']).to.equal('application/x-ndjson');
    await api.finish([tasks[1]!]);
    await reader.until(() => reader.lines.length === 1);
    expect(reader.lines).to.deep.equal([{ index: 1, task_id: tasks[1]!.taskId, status: 'COMPLETED', result: PAYLOAD }]);
    await api.finish([tasks[2]!, tasks[0]!]);
    await reader.until(() => reader.closed);
    expect(reader.indexes).to.deep.equal([1, 2, 0]);
    expect(reader.end).to.deep.equal({ reason: 'complete', cursor: '0-2', delivered: 3, total: 3, closed: false });
  });

  it('send what has ended before, failures and cancellations with their exceptions', async () => {
    await start();
    const groupId = await submit(3);
    const tasks = await claimAll();
    await api.settle(tasks[0]!);
    await api.settle(tasks[1]!, { event: 'task.raised', payload: Buffer.from('K\x05.', 'latin1') });
    await api.post(`/tasks/${tasks[2]!.taskId}/cancel`);
    const reader = await open(groupId);
    await reader.until(() => reader.closed);
    expect(reader.lines.map(({ status }) => status)).to.deep.equal(['COMPLETED', 'FAILED', 'CANCELLED']);
    expect(reader.lines[1]!.result).to.equal('SwUu\n');
    expect(Buffer.from(reader.lines[2]!.result, 'base64').toString()).to.contain('CancelledError');
  });

  it('cost no read of the store when they were open before the tasks', async () => {
    await start();
    const { group_id } = (await api.post('/groups')).body as { group_id: string };
    const reader = await open(group_id, '?follow=1');
    let reads = 0;
    const { readStatuses, readOutcomesUpTo } = api.store;
    api.store.readStatuses = (ids) => (reads++, readStatuses.call(api.store, ids));
    api.store.readOutcomesUpTo = (ids, bytes) => (reads++, readOutcomesUpTo.call(api.store, ids, bytes));
    for (let request = 0; request < 4; request++) {
      await submit(500, { group_id, final: request === 3 });
      await api.finish(await api.claim());
    }
    await reader.until(() => reader.closed);
    expect(reader.indexes).to.deep.equal(range(2000));
    expect(reader.end).to.include({ reason: 'complete', cursor: '0-1999', closed: true });
    expect(reads).to.equal(0);
  });

  it('deliver what ended before its place in the group was known', async () => {
    await start();
    const { group_id } = (await api.post('/groups')).body as { group_id: string };
    const reader = await open(group_id, '?follow=1');
    const append = api.groupStore.append.bind(api.groupStore);
    // The answer to the addition comes after the end of its task.
    api.groupStore.append = async (...args) => {
      const answer = await append(...args);
      while ((await api.store.queueDepth()) === 0) await sleep(1);
      await api.finish(await claimAll());
      return answer;
    };
    await submit(5, { group_id });
    await reader.until(() => reader.lines.length === 5);
    expect(reader.indexes).to.deep.equal(range(5));
  });

  it('write the results of one event at once', async () => {
    await start();
    const groupId = await submit(256);
    const tasks = await claimAll();
    const reader = await open(groupId, '?follow=1');
    let chunks = 0;
    reader.response.on('data', () => chunks++);
    await api.finish(tasks);
    await reader.until(() => reader.lines.length === 256);
    expect(chunks).to.be.at.most(2);
  });

  it('find ends and additions by themselves that no event told of', async () => {
    await start({ groupsOptions: { pollMs: POLL_MS } });
    const other = await startApi({ redis: api.redis });
    try {
      const groupId = await submit(600);
      const reader = await open(groupId, '?follow=1');
      await submit(400, { group_id: groupId, final: true }, other);
      for (const task of await claimAll()) await api.settle(task);
      await reader.until(() => reader.closed);
      expect(sorted(reader.indexes)).to.deep.equal(range(1000));
    } finally {
      await other.stop();
    }
  });

  it('read results that were too large for an event, and believe the store', async () => {
    await start();
    const groupId = await submit(2);
    const tasks = await claimAll();
    const reader = await open(groupId);
    const events = tasks.map(({ taskId }) => ({ taskId, state: 'completed' as const }));
    await api.settle(tasks[1]!);
    api.settled.onSettled(events);
    await reader.until(() => reader.lines.length === 1);
    expect(reader.indexes).to.deep.equal([1]);
    await api.settle(tasks[0]!);
    api.settled.onSettled(events);
    await reader.until(() => reader.closed);
    expect(reader.indexes).to.deep.equal([1, 0]);
  });

  it('stay for tasks that come later when they follow, and end when the group is closed', async () => {
    await start();
    const groupId = await submit(1);
    const reader = await open(groupId, '?follow=true');
    await api.finish(await claimAll());
    await reader.until(() => reader.lines.length === 1);
    await submit(1, { group_id: groupId });
    await api.finish(await claimAll());
    await reader.until(() => reader.lines.length === 2);
    expect(reader.closed).to.be.false;
    await api.post(`/groups/${groupId}/close`);
    await reader.until(() => reader.closed);
    expect(reader.end).to.include({ reason: 'complete', total: 2 });
  });

  it('end when their time is over', async () => {
    await start();
    const groupId = await submit(3);
    await api.finish((await claimAll()).slice(0, 1));
    const soFar = await open(groupId, '?wait=0');
    await soFar.until(() => soFar.closed);
    expect(soFar.indexes).to.deep.equal([0]);
    expect(soFar.end).to.include({ reason: 'wait', cursor: '0', total: 3 });
    const startedMs = performance.now();
    const later = await open(groupId, '?wait=0.2&have=0');
    await later.until(() => later.closed);
    expect(performance.now() - startedMs).to.be.greaterThan(190);
    expect(later.lines).to.be.empty;
    expect(later.end).to.include({ reason: 'wait', delivered: 1 });
  });

  it('give signs of life', async () => {
    await start({ streamHeartbeatMs: 30 });
    const groupId = await submit(2);
    const reader = await open(groupId);
    await api.finish((await claimAll()).slice(1));
    await reader.until(() => reader.heartbeats.length >= 3);
    expect(reader.heartbeats.at(-1)).to.deep.equal({ cursor: '1', delivered: 1, total: 2, closed: false });
  });

  it('give each result exactly once over disconnects, restarts and other APIs', async () => {
    const COUNT = 3000;
    await start({ groupsOptions: { pollMs: POLL_MS } });
    const first = api;
    const other = await startApi({ redis: first.redis, groupsOptions: { pollMs: POLL_MS } });
    const otherUrl = await other.app.listen({ host: '127.0.0.1', port: 0 });
    try {
      const groupId = await submit(COUNT);
      const tasks = await claimAll();
      const results: number[] = [];
      let ended = false;
      const finishing = (async () => {
        for (let at = 0; at < COUNT; at += 50) {
          // Out of order, and only one of the APIs hears of it.
          const some = tasks.slice(at, at + 50).toReversed();
          await (at % 100 === 0 ? first : other).finish(some);
          await sleep(5);
        }
      })();
      for (let attempt = 0; !ended; attempt++) {
        const base = attempt % 2 === 0 ? url : otherUrl;
        const have = ranges(results);
        const reader = await ResultReader.open(`${base}/groups/${groupId}/results`, {}, { have });
        readers.push(reader);
        const enough = 200 + 37 * attempt;
        await reader.until(() => reader.closed || reader.lines.length >= enough);
        reader.disconnect();
        results.push(...reader.indexes);
        ended = reader.end?.['reason'] === 'complete';
        if (attempt === 3) {
          // A restart: the same address, nothing remembered.
          await first.app.close();
          api = await startApi({ redis: first.redis, groupsOptions: { pollMs: POLL_MS } });
          url = await api.app.listen({ host: '127.0.0.1', port: 0 });
        }
      }
      await finishing;
      expect(results).to.have.length(COUNT);
      expect(sorted(results)).to.deep.equal(range(COUNT));
    } finally {
      await other.stop();
      if (api !== first) await api.stop();
      api = first;
    }
  });

  it('end when the API stops, and say that they are not complete', async () => {
    await start();
    const groupId = await submit(2);
    const reader = await open(groupId);
    await api.finish((await claimAll()).slice(0, 1));
    await reader.until(() => reader.lines.length === 1);
    await api.app.close();
    await reader.until(() => reader.closed);
    expect(reader.end).to.include({ reason: 'closing', cursor: '0' });
  });

  it('go on over an outage of Redis', async () => {
    await start({ groupsOptions: { pollMs: POLL_MS } });
    const groupId = await submit(10);
    const tasks = await claimAll();
    const reader = await open(groupId);
    await api.finish(tasks.slice(0, 5));
    await api.redis.kill('SIGKILL');
    // An event without a result, which nobody can read at the moment.
    api.settled.onSettled([{ taskId: tasks[5]!.taskId, state: 'completed' }]);
    await sleep(4 * POLL_MS);
    await api.redis.restart();
    while ((await api.get(`/groups/${groupId}`)).status !== 200) await sleep(20);
    for (const task of tasks.slice(5)) await api.settle(task);
    await reader.until(() => reader.closed);
    expect(sorted(reader.indexes)).to.deep.equal(range(10));
  });

  it('keep memory bounded for a client that does not read, and give it everything in the end', async () => {
    const LARGE = Buffer.concat([
      Buffer.from('8e0080000000000000', 'hex'),
      Buffer.alloc(32 * 1024, 1),
      Buffer.from('.'),
    ]);
    const COUNT = 2000; // 64 MiB of results, 87 MiB on the wire.
    await start();
    const groupId = await submit(COUNT);
    const tasks = await claimAll();
    const reader = await open(groupId, '?follow=1');
    reader.pause();
    const bytesBefore = bufferBytes();
    for (let at = 0; at < COUNT; at += 100) {
      await api.finish(tasks.slice(at, at + 100), LARGE);
      await sleep(1);
    }
    expect(bufferBytes() - bytesBefore).to.be.lessThan(4 * MEBIBYTE);
    reader.resume();
    await api.post(`/groups/${groupId}/close`);
    await reader.until(() => reader.closed);
    expect(sorted(reader.indexes)).to.deep.equal(range(COUNT));
    expect(Buffer.from(reader.lines[COUNT - 1]!.result, 'base64').equals(LARGE)).to.be.true;
  }).timeout(30_000);

  it('forget clients that are gone', async () => {
    await start();
    const groupId = await submit(100);
    const streams = [await open(groupId), await open(groupId)];
    for (const stream of streams) stream.disconnect();
    const finished = await claimAll();
    await api.finish(finished);
    const again = await open(groupId);
    await again.until(() => again.closed);
    expect(again.lines).to.have.length(100);
  });

  it('say of ids that nothing is stored for, after a while, that they are unknown', async () => {
    await start({ groupsOptions: { pollMs: POLL_MS, unknownAfterMs: 2 * POLL_MS } });
    const groupId = await submit(1);
    await api.groupStore.append(groupId, { taskIds: [UNKNOWN_ID], final: false, keepMs: 0 });
    await api.finish(await claimAll());
    const reader = await open(groupId);
    await reader.until(() => reader.closed);
    expect(reader.lines[1]).to.deep.equal({ index: 1, task_id: UNKNOWN_ID, status: 'UNKNOWN', result: '' });
  });

  describe('for browsers', () => {
    const SSE = { accept: 'text/event-stream' };

    it('are events whose ids are the cursor', async () => {
      await start();
      const groupId = await submit(5);
      const tasks = await claimAll();
      const reader = await open(groupId, '', SSE);
      expect(reader.response.headers['content-type']).to.equal('text/event-stream');
      await api.finish([tasks[0]!, tasks[1]!, tasks[4]!]);
      await reader.until(() => reader.lines.length === 3);
      expect(reader.lastEventId).to.equal('0-1,4');
      reader.disconnect();

      const resumed = await open(groupId, '', { ...SSE, 'last-event-id': reader.lastEventId! });
      await api.finish(tasks.slice(2, 4));
      await resumed.until(() => resumed.closed);
      expect(resumed.indexes).to.deep.equal([2, 3]);
      expect(resumed.lastEventId).to.equal('0-4');
      // A browser would connect again and again: 204 tells it to stop.
      const over = await open(groupId, '', { ...SSE, 'last-event-id': '0-4' });
      expect(over.response.statusCode).to.equal(204);
    });

    it('have cursors that fit into a header, however tasks end', async () => {
      await start();
      const groupId = await submit(5000);
      const tasks = await claimAll();
      const reader = await open(groupId, '', SSE);
      await api.finish(tasks.filter((_, index) => index % 2 === 1));
      await reader.until(() => reader.lines.length === 2500);
      reader.disconnect();
      expect(reader.lastEventId!.length).to.be.within(5900, 6000);
      const resumed = await open(groupId, '', { ...SSE, 'last-event-id': reader.lastEventId! });
      await api.finish(tasks.filter((_, index) => index % 2 === 0));
      await resumed.until(() => resumed.closed);
      expect(new Set([...reader.indexes, ...resumed.indexes]).size).to.equal(5000);
    });
  });

  it('are frames of MessagePack when asked', async () => {
    await start({ streamHeartbeatMs: 50 });
    const groupId = await submit(300);
    const tasks = await claimAll();
    const reader = await open(groupId, '?have=299', { accept: 'application/x-msgpack-stream' });
    await api.finish(tasks.slice(0, 150));
    await reader.until(() => reader.heartbeats.length > 0);
    for (const task of tasks.slice(150)) await api.settle(task);
    for (const { taskId } of tasks.slice(150)) api.settled.onSettled([{ taskId, state: 'completed' }]);
    await reader.until(() => reader.closed);
    expect(sorted(reader.indexes)).to.deep.equal(range(299));
    expect(reader.lines[0]).to.deep.equal({
      index: 0,
      task_id: tasks[0]!.taskId,
      status: 'COMPLETED',
      result: PICKLE.toString('base64'),
    });
    expect(reader.end).to.include({ reason: 'complete', cursor: '0-299', delivered: 300 });
  });

  it('are what POST /results answers with when asked', async () => {
    await start();
    await submit(3);
    const tasks = await claimAll();
    const task_ids = [UNKNOWN_ID, ...tasks.map(({ taskId }) => taskId), tasks[0]!.taskId];
    const reader = await ResultReader.open(
      `${url}/results`,
      { accept: 'application/x-ndjson' },
      { task_ids, wait: 30 },
    );
    readers.push(reader);
    await api.finish(tasks.toReversed());
    await reader.until(() => reader.closed);
    expect(sorted(reader.indexes)).to.deep.equal(range(5));
    expect(reader.lines[0]).to.include({ index: 0, status: 'UNKNOWN' });
    expect(reader.end).to.include({ reason: 'complete' });
  });

  it('are refused with words', async () => {
    await start();
    const groupId = await submit(1);
    for (const [query, field] of [
      ['?have=x', 'have'],
      ['?follow=maybe', 'follow'],
      ['?wait=-1', 'wait'],
      ['?format=xml', 'format'],
    ]) {
      const { status, body } = await api.get(`/groups/${groupId}/results${query}`);
      expect(status, query).to.equal(422);
      expect(body['detail']).to.contain(`\`${field}\` in the query`);
    }
  });
});

function ranges(indexes: number[]): string {
  return indexes.join(',');
}

/** Bytes that this process holds in buffers, garbage aside. */
function bufferBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().arrayBuffers;
}
