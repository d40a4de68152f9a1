import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { RedisTaskLists } from '../../bus/redis/redisTaskLists.js';
import type { Page, TaskQuery, TaskSummary } from '../../bus/taskLists.js';
import { crashed, newTask, rejection, settlement, StoreFixture } from './support/storeFixture.js';

const raised = {
  event: 'task.raised',
  failure: { type: 'UserException', message: 'no', exception: 'ValueError' },
} as const;
const FUNCTION_A = 'aaaaaaaa-0000-8000-8000-000000000000';
const FUNCTION_B = 'bbbbbbbb-0000-8000-8000-000000000000';

for (const shards of [1, 3]) {
  describe(`lists of tasks on ${shards} shard(s)`, () => {
    let fixture: StoreFixture;
    let lists: RedisTaskLists;
    before(async () => {
      fixture = await StoreFixture.start({ shards });
      lists = new RedisTaskLists(fixture.redis, { shards });
    });
    beforeEach(() => fixture.empty());
    after(() => fixture.stop());

    /** One batch per call, a few milliseconds apart, so that their order is known over shards as well. */
    const submitInTurn = async (count: number, functionId = FUNCTION_A): Promise<string[]> => {
      const ids: string[] = [];
      for (let turn = 0; turn < count; turn++) {
        const task = newTask({ functionId });
        await fixture.store.submit([task]);
        ids.push(task.taskId);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      return ids;
    };
    const idsOf = ({ items }: Page<TaskSummary>): string[] => items.map(({ taskId }) => taskId);
    const allPages = async (
      query: Omit<TaskQuery, 'cursor'>,
      between = async (): Promise<unknown> => undefined,
    ): Promise<string[]> => {
      const ids: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await lists.listTasks({ ...query, ...(cursor !== undefined && { cursor }) });
        ids.push(...idsOf(page));
        cursor = page.cursor;
        await between();
      } while (cursor !== undefined);
      return ids;
    };

    it('have the newest first, in pages that new tasks do not shift', async () => {
      const ids = await submitInTurn(12);
      const seen = await allPages({ limit: 5 }, () => fixture.store.submit([newTask(), newTask()]));
      expect(seen).to.deep.equal(ids.toReversed());
    });

    it('go on within a batch', async () => {
      const tasks = Array.from({ length: 1_200 }, () => newTask());
      await fixture.store.submit(tasks);
      const seen = await allPages({ limit: 77 });
      expect(seen).to.have.length(1_200);
      expect(new Set(seen)).to.deep.equal(new Set(tasks.map(({ taskId }) => taskId)));
    });

    it('show what a task is and how it stands', async () => {
      const [claimed] = await fixture.claimed(newTask({ priority: 'high', maxAttempts: 5, functionId: FUNCTION_B }));
      await fixture.store.settle([settlement(claimed!, { ...raised, worker: 'w9' })]);
      const record = (await fixture.store.readTask(claimed!.taskId))!;
      const [summary] = (await lists.listTasks({ limit: 1 })).items;
      expect(summary).to.include({ taskId: claimed!.taskId, state: 'failed', functionId: FUNCTION_B, worker: 'w9' });
      expect(summary).to.include({ priority: 'high', maxAttempts: 5, attempt: 1, runTimeUs: 1_500 });
      const { queuedAtMs, claimedAtMs, startedAtMs, finishedAtMs } = record;
      expect(summary).to.include({ queuedAtMs, claimedAtMs, startedAtMs, finishedAtMs });
      expect(summary!.failure).to.deep.equal(raised.failure);
    });

    it('can be of one state, one function, one type of failure', async () => {
      const [done, failed, lost] = await fixture.claimed(
        newTask({ functionId: FUNCTION_A }),
        newTask({ functionId: FUNCTION_A }),
        newTask({ functionId: FUNCTION_B, maxAttempts: 1 }),
      );
      await fixture.store.settle([settlement(done!), settlement(failed!, raised), settlement(lost!, crashed())]);
      const [running] = await fixture.claimed(newTask({ functionId: FUNCTION_B }));
      const [queued, cancelled] = [newTask({ functionId: FUNCTION_A }), newTask({ functionId: FUNCTION_A })];
      const delayed = newTask({ delayMs: 60_000, functionId: FUNCTION_B });
      await fixture.store.submit([queued, delayed, cancelled]);
      await fixture.store.cancel([cancelled.taskId]);
      const found = async (query: Partial<TaskQuery>): Promise<Set<string>> =>
        new Set(await allPages({ limit: 2, ...query }));
      const ids = (...tasks: ({ taskId: string } | undefined)[]): Set<string> =>
        new Set(tasks.map((task) => task!.taskId));

      expect(await found({ states: ['completed'] })).to.deep.equal(ids(done));
      expect(await found({ states: ['failed'] })).to.deep.equal(ids(failed, lost));
      expect(await found({ states: ['cancelled'] })).to.deep.equal(ids(cancelled));
      expect(await found({ states: ['running'] })).to.deep.equal(ids(running));
      expect(await found({ states: ['queued', 'delayed', 'retrying'] })).to.deep.equal(ids(queued, delayed));
      expect(await found({ failureType: 'UserException' })).to.deep.equal(ids(failed));
      expect(await found({ failureType: 'ProcessCrashed' })).to.deep.equal(ids(lost));
      expect(await found({ failureType: 'Cancelled' })).to.deep.equal(ids(cancelled));
      expect(await found({ failureType: 'Timeout' })).to.deep.equal(ids());
      expect(await found({ functionId: FUNCTION_B })).to.deep.equal(ids(lost, running, delayed));
      expect(await found({ functionId: FUNCTION_B, states: ['running'] })).to.deep.equal(ids(running));
      expect(await found({ functionId: FUNCTION_B, states: ['failed'] })).to.deep.equal(ids(lost));
    });

    it('have running tasks in pages', async () => {
      const claimed = await fixture.claimed(...Array.from({ length: 7 }, () => newTask()));
      const seen = await allPages({ states: ['running'], limit: 3 });
      expect(seen).to.have.length(7);
      expect(new Set(seen)).to.deep.equal(new Set(claimed.map(({ taskId }) => taskId)));
    });

    it('also tell of what failed because its lease ran out', async () => {
      const [task] = await fixture.claimed(newTask({ maxAttempts: 1 }));
      await fixture.store.reap();
      await fixture.expireLease(task!.taskId);
      await fixture.store.reap();
      const [summary] = (await lists.listTasks({ failureType: 'WorkerFailure', limit: 5 })).items;
      expect(summary?.taskId).to.equal(task!.taskId);
    });

    it('do not grow through a submission that is repeated', async () => {
      const task = newTask();
      await fixture.store.submit([task]);
      await fixture.store.submit([task, newTask()]);
      expect(await allPages({ limit: 10 })).to.have.length(2);
    });

    it('look at a bounded number of tasks for one page, and go on from there', async () => {
      const rare = newTask({ functionId: FUNCTION_B });
      await fixture.store.submit([rare]);
      for (let turn = 0; turn < 6; turn++) {
        await fixture.store.submit(Array.from({ length: 2_000 }, () => newTask({ functionId: FUNCTION_A })));
      }
      const first = await lists.listTasks({ functionId: FUNCTION_B, limit: 1 });
      expect(first.items).to.deep.equal([]);
      const second = await lists.listTasks({ functionId: FUNCTION_B, limit: 1, cursor: first.cursor! });
      expect(idsOf(second)).to.deep.equal([rare.taskId]);
    });

    it('forget what has expired, wherever it lies', async () => {
      const ids = await submitInTurn(3);
      const many = Array.from({ length: 2_500 }, () => newTask());
      await fixture.store.submit(many);
      const last = await submitInTurn(2);
      await fixture.store.cancel([ids[0]!, ids[2]!]);
      for (const taskId of [ids[1]!, ids[2]!, ...many.map(({ taskId }) => taskId)])
        await fixture.redis.del(fixture.key(taskId));
      await fixture.store.sweep();
      expect(await allPages({ limit: 100 })).to.deep.equal([last[1], last[0], ids[0]]);
      expect(await allPages({ limit: 100, states: ['cancelled'] })).to.deep.equal([ids[0]]);
      const { recent, failures } = fixture.shardOf(ids[0]!);
      if (shards === 1) {
        expect(await fixture.redis.xlen(recent)).to.equal(3);
        // Both were cancelled in one step: their entry stays while one of them is there.
        expect(await fixture.redis.xlen(failures)).to.equal(1);
        for (const taskId of [ids[0]!, ...last]) await fixture.redis.del(fixture.key(taskId));
        await fixture.store.sweep();
        expect(await fixture.redis.xlen(recent)).to.equal(0);
        expect(await fixture.redis.xlen(failures)).to.equal(0);
      }
    });

    it('refuse a cursor of another list', async () => {
      await submitInTurn(3);
      const { cursor } = await lists.listTasks({ limit: 1 });
      for (const wrong of [{ states: ['failed' as const] }, { states: ['running' as const] }]) {
        const error = await rejection(lists.listTasks({ limit: 1, cursor: cursor!, ...wrong }));
        expect(error.message).to.match(/`cursor` is not one/);
      }
      expect(await rejection(lists.listTasks({ limit: 1, cursor: 'nonsense' }))).to.include({
        code: 'VALIDATION_FAILED',
      });
    });

    it('count what waits, runs and has ended', async () => {
      const retry = { maxRetries: 1, backoffMs: 60_000, backoffFactor: 1, maxBackoffMs: 60_000, jitter: 0 };
      const [done, alsoDone, failed, crash, again] = await fixture.claimed(
        ...[newTask(), newTask(), newTask(), newTask({ maxAttempts: 1 }), newTask({ retry }), newTask()],
      );
      await fixture.store.settle([
        ...[settlement(done!), settlement(alsoDone!), settlement(failed!, raised), settlement(crash!, crashed())],
        settlement(again!, { ...raised, failure: { ...raised.failure, bases: ['ValueError', 'Exception'] } }),
      ]);
      const [oldest, vain] = [newTask({ requirement: 'gpu' }), newTask()];
      const beganMs = Date.now();
      await fixture.store.submit([oldest]);
      await new Promise((resolve) => setTimeout(resolve, 5));
      const soonMs = Date.now();
      await fixture.store.submit([vain, newTask({ priority: 'high' }), newTask({ delayMs: 60_000 })]);
      await fixture.store.cancel([vain.taskId]);
      const { oldestQueuedAtMs, ...counts } = await lists.countTasks();
      expect(counts).to.deep.equal({
        ...{ queued: { high: 1, normal: 1, low: 0 }, running: 1, delayed: 1, retrying: 1, blocked: 0 },
        ...{ completed: 2, cancelled: 1, failed: 2, failures: { UserException: 1, ProcessCrashed: 1 } },
      });
      expect(oldestQueuedAtMs).to.be.within(beganMs - 1, soonMs);
      // A second settlement of the same attempt changes nothing, nor does a second cancellation.
      await fixture.store.settle([settlement(done!), settlement(failed!, raised)]);
      await fixture.store.cancel([vain.taskId]);
      expect(await lists.countTasks()).to.deep.include(counts);
    });
  });
}

describe('what is needed to run tasks again', () => {
  let fixture: StoreFixture;
  let lists: RedisTaskLists;
  before(async () => {
    fixture = await StoreFixture.start();
    lists = new RedisTaskLists(fixture.redis, { shards: 1 });
  });
  beforeEach(() => fixture.empty());
  after(() => fixture.stop());

  it('is kept of failed and cancelled tasks, not of completed ones', async () => {
    const original = newTask({
      priority: 'low',
      maxAttempts: 2,
      timeoutMs: 7_000,
      arguments: Buffer.from([1, 2, 255]),
    });
    const [failed, done] = await fixture.claimed(original, newTask());
    await fixture.store.settle([settlement(failed!, raised), settlement(done!)]);
    const { taskId, ...task } = original;
    expect(await lists.readSubmissions([taskId, done!.taskId, randomUUID()])).to.deep.equal([
      { state: 'failed', task },
      { state: 'completed' },
      undefined,
    ]);
  });

  it('is kept of large arguments too', async () => {
    const { taskId, ...task } = newTask({ arguments: Buffer.alloc(200_000, 7) });
    await fixture.store.submit([{ taskId, ...task }]);
    await fixture.store.cancel([taskId]);
    expect(await lists.readSubmissions([taskId])).to.deep.equal([{ state: 'cancelled', task }]);
  });

  it('is noted, once or anew', async () => {
    const task = newTask();
    await fixture.store.submit([task]);
    const { taskId } = task;
    expect(await lists.noteRunAgain([{ taskId, newTaskId: 'one' }], true)).to.deep.equal(['one']);
    expect(await lists.noteRunAgain([{ taskId, newTaskId: 'two' }], true)).to.deep.equal(['one']);
    expect(
      await lists.noteRunAgain(
        [
          { taskId, newTaskId: 'three' },
          { taskId: randomUUID(), newTaskId: 'x' },
        ],
        false,
      ),
    ).to.deep.equal(['three', undefined]);
    expect((await fixture.store.readTask(taskId))!.runAgainAs).to.equal('three');
    expect(await fixture.redis.dbsize(), 'the task, its queue, its index').to.equal(3);
  });
});

describe('the list of functions', () => {
  let fixture: StoreFixture;
  before(async () => {
    fixture = await StoreFixture.start();
  });
  after(() => fixture.stop());

  it('has each once, newest first, in pages, many of one millisecond too', async () => {
    const lists = new RedisTaskLists(fixture.redis, { shards: 1 });
    const names = Array.from({ length: 23 }, (_, index) => `f${index}`);
    const registerAll = () =>
      Promise.all(names.map((name) => fixture.store.registerFunction({ name, payload: Buffer.from(name) })));
    const registered = await registerAll();
    await registerAll();
    const ids: string[] = [];
    let cursor: string | undefined;
    let lastMs = Infinity;
    do {
      const page = await lists.listFunctions(5, cursor);
      for (const { functionId, registeredAtMs } of page.items) {
        expect(registeredAtMs).to.be.at.most(lastMs);
        lastMs = registeredAtMs;
        ids.push(functionId);
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(ids).to.have.length(23);
    expect(new Set(ids)).to.deep.equal(new Set(registered.map(({ functionId }) => functionId)));
  });
});
