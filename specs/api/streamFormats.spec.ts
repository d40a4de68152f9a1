import { expect } from 'chai';
import type { ClaimedTask } from '../../bus/taskStore.js';
import { type ApiFixture, type FixtureOptions, PICKLE, UNKNOWN_ID } from './support/apiFixture.js';
import { ResultReader } from './support/resultReader.js';
import { range, sorted, StreamFixture } from './support/streamFixture.js';

describe('the formats of streams', () => {
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
    fixture.keep(reader);
    await api.finish(tasks.toReversed());
    await reader.until(() => reader.closed);
    expect(sorted(reader.indexes)).to.deep.equal(range(5));
    expect(reader.lines[0]).to.include({ index: 0, status: 'UNKNOWN' });
    expect(reader.end).to.include({ reason: 'complete' });
  });
});
