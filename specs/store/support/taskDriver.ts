import { randomUUID } from 'node:crypto';
import type { TaskEvent, TaskMachineState } from '../../../actors/lifecycles/taskMachine.js';
import type { SettleVerdict } from '../../../bus/taskStore.js';
import { PRIORITIES } from '../../../bus/redis/keys.js';
import { crashed, newTask, raised, retryPolicy, settlement, type StoreFixture } from './storeFixture.js';

const LONG_MS = 3_600_000;

/** What one call of the store made of an event: its answer in words. */
export type Answer = 'made' | 'refused';

/** Puts the events of the task machine to one task in Redis, each as the call of the store that stands for it. */
export class TaskDriver {
  /** Of the latest claim; a wrong one until then. */
  private fence = '1:0000000000000000';

  private readonly dependency = randomUUID();
  private readonly later = Date.now() + LONG_MS;

  constructor(
    private readonly fixture: StoreFixture,
    readonly taskId: string,
    /** How a lost worker is noticed: its dispatcher settles the attempt, or the lease runs out. */
    private readonly interruptedBy: 'settle' | 'reap' = 'settle',
  ) {}

  async apply(event: TaskEvent): Promise<Answer> {
    const { store } = this.fixture;
    const ref = { taskId: this.taskId, fence: this.fence };
    if ('attemptsLeft' in event) await this.grantAttempts(event.attemptsLeft);
    if (event.type === 'task.retried' || event.type === 'task.raised')
      await this.grantRetry(event.type === 'task.retried');
    switch (event.type) {
      case 'task.submitted': {
        const { delayed, blocked } = event;
        const dependsOn = blocked ? { dependsOn: [this.dependency] } : {};
        const [verdict] = await store.submit([
          newTask({ taskId: this.taskId, delayMs: delayed ? LONG_MS : 0, ...dependsOn }),
        ]);
        return verdict === 'accepted' ? 'made' : 'refused';
      }
      case 'task.unblocked':
        await this.setDue(event.delayed);
        return this.resolved('completed');
      case 'task.dependencyFailed':
        return this.resolved('failed');
      case 'task.due':
        return this.comesDue();
      case 'task.claimed': {
        const { claimed } = await store.claim('dispatcher', 1);
        if (claimed[0]?.taskId !== this.taskId) return 'refused';
        this.fence = claimed[0].fence;
        return 'made';
      }
      case 'task.released':
        return (await store.release([ref]))[0] ? 'made' : 'refused';
      case 'task.cancelled':
        return (await store.cancel([this.taskId]))[0]?.cancelled ? 'made' : 'refused';
      case 'task.interrupted':
        if (this.interruptedBy === 'reap') return this.leaseRunsOut();
        return this.settled(await store.settle([settlement(ref, crashed())]));
      case 'task.succeeded':
        return this.settled(await store.settle([settlement(ref)]));
      case 'task.raised':
      case 'task.retried':
        return this.settled(await store.settle([settlement(ref, raised())]));
    }
  }

  /** The state in Redis; `new` when there is none. */
  async state(): Promise<TaskMachineState> {
    return (await this.fixture.store.readStatuses([this.taskId]))[0] ?? 'new';
  }

  /** Everything that Redis has of the task. */
  async everything(): Promise<unknown> {
    const { redis } = this.fixture;
    const { delayed, leases, queues, outputPrefix } = this.fixture.shardOf(this.taskId);
    const hash = await redis.hgetall(this.fixture.key(this.taskId));
    return {
      hash,
      due: await redis.zscore(delayed, this.taskId),
      lease: await redis.zscore(leases, this.taskId),
      // A cancelled task's entry stays in its queue until a claim drops it.
      queued:
        hash['state'] === 'cancelled'
          ? 'whatever'
          : (await Promise.all(queues.map((queue) => redis.lrange(queue, 0, -1)))).flat().includes(this.taskId),
      output: await redis.get(outputPrefix + this.taskId),
    };
  }

  /** A claim moves due tasks into the queue; another task, claimed first, keeps it from being claimed in the same step. */
  private async comesDue(): Promise<Answer> {
    await this.fixture.makeDue(this.taskId);
    const decoy = newTask({ taskId: this.siblingId(), priority: PRIORITIES[0] });
    await this.fixture.store.submit([decoy]);
    const { claimed, promoted } = await this.fixture.store.claim('dispatcher', 1);
    if (claimed[0]?.taskId !== decoy.taskId)
      throw new Error('The claim did not take the task with the higher priority.');
    return promoted.some(({ taskId }) => taskId === this.taskId) ? 'made' : 'refused';
  }

  private async leaseRunsOut(): Promise<Answer> {
    await this.fixture.expireLease(this.taskId);
    const { tasks } = await this.fixture.store.reap();
    return tasks.some(({ taskId }) => taskId === this.taskId) ? 'made' : 'refused';
  }

  private async resolved(state: 'completed' | 'failed'): Promise<Answer> {
    const end = { taskId: this.taskId, dependency: this.dependency, state };
    const [resolution] = await this.fixture.store.resolveDependencies([end]);
    return resolution ? 'made' : 'refused';
  }

  /** Whether it is due when it is unblocked. */
  private async setDue(delayed: boolean): Promise<void> {
    const key = this.fixture.key(this.taskId);
    if ((await this.fixture.redis.exists(key)) === 1)
      await this.fixture.redis.hset(key, 'due', delayed ? this.later : 1);
  }

  private settled([verdict]: SettleVerdict[]): Answer {
    return verdict === 'stale' || verdict === 'duplicate' ? 'refused' : 'made';
  }

  /** What the guard looks at: whether this attempt is the last. */
  private async grantAttempts(left: boolean): Promise<void> {
    const key = this.fixture.key(this.taskId);
    const { attempt, retries } = (await this.fixture.store.readTask(this.taskId)) ?? { attempt: 0, retries: 0 };
    if (attempt > retries) await this.fixture.redis.hset(key, 'max', attempt - retries + (left ? 1 : 0));
  }

  /** What the store looks at when a function raised: whether the policy grants another attempt. */
  private async grantRetry(granted: boolean): Promise<void> {
    const key = this.fixture.key(this.taskId);
    const retries = Number(await this.fixture.redis.hget(key, 'retries'));
    if ((await this.fixture.redis.exists(key)) === 0) return;
    const policy = retryPolicy({
      maxRetries: granted ? retries + 1 : retries,
      backoffMs: LONG_MS,
      maxBackoffMs: LONG_MS,
    });
    await this.fixture.redis.hset(key, 'retry', JSON.stringify(policy));
  }

  private siblingId(): string {
    const shard = this.fixture.shardOf(this.taskId).index;
    return idInShard(this.fixture, shard);
  }
}

export function idInShard(fixture: StoreFixture, shard: number): string {
  for (;;) {
    const taskId = randomUUID();
    if (fixture.shardOf(taskId).index === shard) return taskId;
  }
}
