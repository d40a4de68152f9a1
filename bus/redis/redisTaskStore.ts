import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { TaskRef } from '../messages.js';
import type {
  CancelVerdict,
  Claim,
  FunctionRecord,
  FunctionRegistration,
  NewTask,
  Reaped,
  Settlement,
  SettleVerdict,
  TaskOutcome,
  TaskRecord,
  TaskState,
  TaskStore,
  TerminalState,
  WorkerRecord,
} from '../taskStore.js';
import { asStoreError } from './connection.js';
import { functionIdOf, functionKey, PRIORITIES, shardKeys, shardOf, type ShardKeys, WORKERS_KEY } from './keys.js';
import { Script } from './script.js';
import { OUTCOME_FIELDS, parseFailure, parseOutcome, parseState, parseTask, type TaskHash } from './taskRecord.js';

export interface RedisTaskStoreOptions {
  shards: number;
  leaseMs: number;
  /** How long a finished task and its result are kept. */
  resultTtlSeconds: number;
}

/** Largest batch of one script call: keeps Redis responsive, and Lua's `unpack` within its stack. */
const MAX_BATCH = 500;

const scripts = {
  submit: new Script<number[]>('submit'),
  claim: new Script<[Buffer[], (Buffer | number)[]]>('claim'),
  renew: new Script<number[]>('renew'),
  settle: new Script<Buffer[]>('settle'),
  release: new Script<number[]>('release'),
  cancel: new Script<[Buffer, Buffer, Buffer][]>('cancel'),
  reap: new Script<[number, ...[Buffer, Buffer, number, Buffer][]]>('reap'),
};

/** The task store on Redis: one Lua script per step, see `keys.ts` for where things lie. */
export class RedisTaskStore implements TaskStore {
  private readonly shards: ShardKeys[];
  private nextShard = 0;

  constructor(
    private readonly redis: Redis,
    private readonly options: RedisTaskStoreOptions,
  ) {
    this.shards = Array.from({ length: options.shards }, (_, index) => shardKeys(index));
  }

  async registerFunction({ name, payload }: FunctionRegistration): Promise<{ functionId: string; created: boolean }> {
    const functionId = functionIdOf(payload);
    const key = functionKey(functionId);
    return this.guard(async () => {
      const fields = ['name', name, 'payload', payload, 'registered', Date.now()];
      // HSETNX on the payload alone would let a crash leave a function without a name; the whole hash is written twice at worst.
      const created = (await this.redis.exists(key)) === 0;
      if (created) await this.redis.hset(key, ...fields);
      return { functionId, created };
    });
  }

  async readFunction(functionId: string): Promise<FunctionRecord | undefined> {
    return this.guard(async () => {
      const key = functionKey(functionId);
      const [name, registered] = await this.redis.hmget(key, 'name', 'registered');
      if (name == null) return undefined;
      const payloadBytes = await this.redis.hstrlen(key, 'payload');
      return { functionId, name, payloadBytes, registeredAtMs: Number(registered) };
    });
  }

  async functionsExist(functionIds: string[]): Promise<boolean[]> {
    return this.guard(async () => {
      const answers = await Promise.all(functionIds.map((id) => this.redis.exists(functionKey(id))));
      return answers.map((count) => count === 1);
    });
  }

  async loadFunctions(functionIds: string[]): Promise<(Buffer | undefined)[]> {
    return this.guard(async () => {
      const bodies = await Promise.all(functionIds.map((id) => this.redis.hgetBuffer(functionKey(id), 'payload')));
      return bodies.map((body) => body ?? undefined);
    });
  }

  async submit(tasks: NewTask[]): Promise<('accepted' | 'existing')[]> {
    return this.perShard(tasks, async (shard, batch) => {
      const args: (string | Buffer | number)[] = [shard.taskPrefix];
      for (const task of batch) {
        const priority = PRIORITIES.indexOf(task.priority) + 1;
        args.push(task.taskId, task.functionId, task.arguments, priority, task.maxAttempts, task.timeoutMs, task.delayMs);
      }
      const verdicts = await scripts.submit.run(this.redis, [...shard.queues, shard.delayed], args);
      return verdicts.map((verdict) => (verdict === 1 ? 'accepted' : 'existing'));
    });
  }

  async claim(claimant: string, limit: number): Promise<Claim> {
    const claim: Claim = { claimed: [], promoted: [] };
    // Every claim begins at another shard, so that none is favoured.
    for (let turn = 0; turn < this.shards.length && claim.claimed.length < limit; turn++) {
      const shard = this.shards[this.nextShard++ % this.shards.length] as ShardKeys;
      await this.claimFrom(shard, claimant, Math.min(limit - claim.claimed.length, MAX_BATCH), claim);
    }
    return claim;
  }

  private async claimFrom(shard: ShardKeys, claimant: string, limit: number, into: Claim): Promise<void> {
    const nonce = randomBytes(8).toString('hex');
    const keys = [...shard.queues, shard.delayed, shard.leases];
    const args = [shard.taskPrefix, limit, this.options.leaseMs, nonce, claimant];
    const [promoted, claimed] = await this.guard(() => scripts.claim.run(this.redis, keys, args));
    for (let i = 0; i < promoted.length; i += 2) {
      const from = String(promoted[i + 1]) === 'delayed' ? 'delayed' : 'retrying';
      into.promoted.push({ taskId: String(promoted[i]), from });
    }
    for (let i = 0; i < claimed.length; i += 6) {
      const attempt = Number(claimed[i + 3]);
      into.claimed.push({
        taskId: (claimed[i] as Buffer).toString('latin1'),
        functionId: (claimed[i + 1] as Buffer).toString('latin1'),
        arguments: claimed[i + 2] as Buffer,
        attempt,
        fence: `${attempt}:${nonce}`,
        maxAttempts: Number(claimed[i + 4]),
        timeoutMs: Number(claimed[i + 5]),
      });
    }
  }

  async renew(attempts: (TaskRef & { worker: string })[]): Promise<boolean[]> {
    return this.perShard(attempts, async (shard, batch) => {
      const args: (string | number)[] = [shard.taskPrefix, this.options.leaseMs];
      for (const { taskId, fence, worker } of batch) args.push(taskId, fence, worker);
      const verdicts = await scripts.renew.run(this.redis, [shard.leases], args);
      return verdicts.map((verdict) => verdict === 1);
    });
  }

  async settle(settlements: Settlement[]): Promise<SettleVerdict[]> {
    return this.perShard(settlements, async (shard, batch) => {
      const args: (string | Buffer | number)[] = [shard.taskPrefix, shard.outputPrefix, this.options.resultTtlSeconds];
      for (const s of batch) {
        args.push(s.taskId, s.fence, s.event, s.payload, s.failure ? JSON.stringify(s.failure) : '', s.retryDelayMs);
        args.push(s.worker, Math.round(s.startedAtMs), s.runTimeUs, s.peakMemoryKib, s.output, s.outputTruncated ? '1' : '');
      }
      const keys = [...shard.queues, shard.delayed, shard.leases];
      const verdicts = await scripts.settle.run(this.redis, keys, args);
      return verdicts.map((verdict) => verdict.toString('latin1') as SettleVerdict);
    });
  }

  async release(attempts: TaskRef[]): Promise<boolean[]> {
    return this.perShard(attempts, async (shard, batch) => {
      const args = [shard.taskPrefix];
      for (const { taskId, fence } of batch) args.push(taskId, fence);
      const verdicts = await scripts.release.run(this.redis, [...shard.queues, shard.leases], args);
      return verdicts.map((verdict) => verdict === 1);
    });
  }

  async cancel(taskIds: string[]): Promise<CancelVerdict[]> {
    const tasks = taskIds.map((taskId) => ({ taskId }));
    return this.perShard(tasks, async (shard, batch) => {
      const args = [shard.taskPrefix, this.options.resultTtlSeconds, ...batch.map(({ taskId }) => taskId)];
      const answers = await scripts.cancel.run(this.redis, [shard.delayed, shard.leases], args);
      return answers.map(([verdict, state, fence]): CancelVerdict => {
        if (String(verdict) === 'unknown') return { cancelled: false, reason: 'unknown' };
        if (String(verdict) === 'terminal') {
          return { cancelled: false, reason: 'terminal', state: String(state) as TerminalState };
        }
        return { cancelled: true, from: String(state) as TaskState, fence: String(fence) };
      });
    });
  }

  async reap(): Promise<Reaped> {
    const reaped: Reaped = { paused: false, tasks: [] };
    for (const shard of this.shards) {
      const keys = [...shard.queues, shard.leases, shard.epoch];
      const args = [shard.taskPrefix, this.options.resultTtlSeconds, this.options.leaseMs, MAX_BATCH];
      const [paused, ...tasks] = await this.guard(() => scripts.reap.run(this.redis, keys, args));
      reaped.paused ||= paused === 1;
      for (const [taskId, state, attempt, failureJson] of tasks) {
        const to = String(state) === 'failed' ? 'failed' : 'queued';
        const failure = parseFailure(failureJson);
        reaped.tasks.push({ taskId: String(taskId), to, attempt, ...(failure && { failure }) });
      }
    }
    return reaped;
  }

  async readStatuses(taskIds: string[]): Promise<(TaskState | undefined)[]> {
    return this.guard(() =>
      Promise.all(taskIds.map(async (id) => parseState(await this.redis.hgetBuffer(this.taskKey(id), 'state')))),
    );
  }

  async readOutcomes(taskIds: string[]): Promise<(TaskOutcome | undefined)[]> {
    return this.guard(() =>
      Promise.all(
        taskIds.map(async (id) => parseOutcome(id, await this.redis.hmgetBuffer(this.taskKey(id), ...OUTCOME_FIELDS))),
      ),
    );
  }

  async readTask(taskId: string): Promise<TaskRecord | undefined> {
    return this.guard(async () => {
      const hash = (await this.redis.hgetallBuffer(this.taskKey(taskId))) as TaskHash;
      const waiting = ['delayed', 'retrying'].includes(String(hash.state));
      const due = waiting ? await this.redis.zscore(this.shardOf(taskId).delayed, taskId) : null;
      return parseTask(taskId, hash, due === null ? undefined : Number(due));
    });
  }

  async readOutput(taskId: string): Promise<Buffer | undefined> {
    return this.guard(async () => {
      const shard = this.shardOf(taskId);
      const [exists, output] = await Promise.all([
        this.redis.exists(shard.taskPrefix + taskId),
        this.redis.getBuffer(shard.outputPrefix + taskId),
      ]);
      return exists === 0 ? undefined : (output ?? Buffer.alloc(0));
    });
  }

  async queueDepth(): Promise<number> {
    return this.guard(async () => {
      const lengths = await Promise.all(this.shards.flatMap(({ queues }) => queues.map((key) => this.redis.llen(key))));
      return lengths.reduce((sum, length) => sum + length, 0);
    });
  }

  async writeWorkers(workers: WorkerRecord[]): Promise<void> {
    if (workers.length === 0) return;
    const fields = workers.flatMap((worker) => [worker.name, JSON.stringify(worker)]);
    await this.guard(() => this.redis.hset(WORKERS_KEY, ...fields));
  }

  async forgetWorkers(names: string[]): Promise<void> {
    if (names.length > 0) await this.guard(() => this.redis.hdel(WORKERS_KEY, ...names));
  }

  async readWorkers(): Promise<WorkerRecord[]> {
    const values = await this.guard(() => this.redis.hvals(WORKERS_KEY));
    return values.map((value) => JSON.parse(value) as WorkerRecord);
  }

  async ping(): Promise<void> {
    await this.guard(() => this.redis.ping());
  }

  async close(): Promise<void> {
    this.redis.disconnect();
    return Promise.resolve();
  }

  private shardOf(taskId: string): ShardKeys {
    return this.shards[shardOf(taskId, this.shards.length)] as ShardKeys;
  }

  private taskKey(taskId: string): string {
    return this.shardOf(taskId).taskPrefix + taskId;
  }

  /** Runs `step` on the items of each shard, in batches, and puts the answers back into the order of the items. */
  private async perShard<Item extends { taskId: string }, Answer>(
    items: Item[],
    step: (shard: ShardKeys, batch: Item[]) => Promise<Answer[]>,
  ): Promise<Answer[]> {
    if (this.shards.length === 1 && items.length <= MAX_BATCH) {
      return items.length === 0 ? [] : this.guard(() => step(this.shards[0] as ShardKeys, items));
    }
    const answers = new Array<Answer>(items.length);
    for (const shard of this.shards) {
      const indexes = items.flatMap((item, index) => (this.shardOf(item.taskId) === shard ? [index] : []));
      for (let start = 0; start < indexes.length; start += MAX_BATCH) {
        const chunk = indexes.slice(start, start + MAX_BATCH);
        const verdicts = await this.guard(() =>
          step(
            shard,
            chunk.map((index) => items[index] as Item),
          ),
        );
        chunk.forEach((index, position) => (answers[index] = verdicts[position] as Answer));
      }
    }
    return answers;
  }

  private async guard<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw asStoreError(error);
    }
  }
}
