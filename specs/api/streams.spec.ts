import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ClaimedTask } from '../../bus/taskStore.js';
import { eventually } from '../support/eventually.js';
import { type ApiFixture, type FixtureOptions, PAYLOAD, startApi, UNKNOWN_ID } from './support/apiFixture.js';
import { ResultReader } from './support/resultReader.js';
import { range, sorted, StreamFixture } from './support/streamFixture.js';

const POLL_MS = 50;
const MEBIBYTE = 1024 * 1024;

describe('streams of results', () => {
  let fixture: StreamFixture;
  let api: ApiFixture;
  let url: string;

  async function start(options: FixtureOptions = {}): Promise<void> {
    fixture = await StreamFixture.start(options);
    ({ api, url } = fixture);
  }
  const submit: StreamFixture['submit'] = (count, more, through) => fixture.submit(count, more, through);
  const open: StreamFixture['open'] = (groupId, query, headers) => fixture.open(groupId, query, headers);
  const claimAll = (): Promise<ClaimedTask[]> => fixture.claimAll();

  afterEach(() => fixture.stop());

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
    const readStatuses = api.store.readStatuses.bind(api.store);
    const readOutcomesUpTo = api.store.readOutcomesUpTo.bind(api.store);
    api.store.readStatuses = (ids) => (reads++, readStatuses(ids));
    api.store.readOutcomesUpTo = (ids, bytes) => (reads++, readOutcomesUpTo(ids, bytes));
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
      await Promise.all((await claimAll()).map((task) => api.settle(task)));
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
    await reader.until(() => reader.heartbeats.filter(({ delivered }) => delivered === 1).length >= 3);
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
        fixture.keep(reader);
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
    await api.killRedis();
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
    let asked = 0;
    const readOutcomesUpTo = api.store.readOutcomesUpTo.bind(api.store);
    api.store.readOutcomesUpTo = (ids, bytes) => ((asked += ids.length), readOutcomesUpTo(ids, bytes));
    const groupId = await submit(COUNT);
    const tasks = await claimAll();
    const reader = await open(groupId, '?follow=1');
    reader.pause();
    const bytesBefore = bufferBytes();
    for (let at = 0; at < COUNT; at += 100) {
      await api.finish(tasks.slice(at, at + 100), LARGE);
      await sleep(1);
    }
    // What was on its way into Redis is garbage only when its replies have been worked off.
    await eventually('no more is held than one client may', () => bufferBytes() - bytesBefore < 4 * MEBIBYTE);
    reader.resume();
    await api.post(`/groups/${groupId}/close`);
    await reader.until(() => reader.closed);
    expect(sorted(reader.indexes)).to.deep.equal(range(COUNT));
    expect(Buffer.from(reader.lines[COUNT - 1]!.result, 'base64').equals(LARGE)).to.be.true;
    // A read ends with its bytes: what is asked for beyond is asked for again.
    expect(asked).to.be.below(3 * COUNT);
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
