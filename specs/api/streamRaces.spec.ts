import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiFixture } from './support/apiFixture.js';
import type { ResultReader } from './support/resultReader.js';
import { range, StreamFixture } from './support/streamFixture.js';

/** No poll comes to the rescue here: its interval is longer than a spec may take. */
describe('a stream that is opened in the same moment as tasks are added to its group', () => {
  let fixture: StreamFixture;
  let api: ApiFixture;
  let groupId: string;

  beforeEach(async () => {
    fixture = await StreamFixture.start();
    ({ api } = fixture);
    groupId = String((await api.post('/groups')).body['group_id']);
  });
  afterEach(() => fixture.stop());

  /** All tasks that are, or are about to be, in the queue. */
  async function finishTasks(): Promise<void> {
    while ((await api.store.queueDepth()) === 0) await sleep(1);
    await api.finish(await fixture.claimAll());
  }

  async function expectAll(reader: ResultReader): Promise<void> {
    await reader.until(() => reader.lines.length === 5);
    expect(reader.indexes).to.deep.equal(range(5));
  }

  it('has their results when it was opened just before they were added', async () => {
    const append = api.groupStore.append.bind(api.groupStore);
    let reader: ResultReader | undefined;
    api.groupStore.append = async (...args) => {
      reader = await fixture.open(groupId, '?follow=1');
      const answer = await append(...args);
      await finishTasks();
      return answer;
    };
    await fixture.submit(5, { group_id: groupId });
    await expectAll(reader!);
  });

  it('has their results when they were added, and ended, between its look at the group and its opening', async () => {
    const read = api.groupStore.read.bind(api.groupStore);
    let busy = false;
    api.groupStore.read = async (...args) => {
      const piece = await read(...args);
      if (!busy) {
        busy = true;
        await fixture.submit(5, { group_id: groupId });
        await finishTasks();
      }
      return piece;
    };
    await expectAll(await fixture.open(groupId, '?follow=1'));
  });
});
