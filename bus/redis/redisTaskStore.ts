import type { Redis } from 'ioredis';
import type { OutcomeReader } from '../groupStore.js';
import type { SettledTask } from '../controlMessages.js';
import type { TaskRef } from '../messages.js';
import { newNonce } from '../nonce.js';
import type { Offer } from '../requirement.js';
import type {
  CancelVerdict,
  Claim,
  Dependency,
  DependencyEnd,
  HandOverHearer,
  NewTask,
  Reaped,
  Resolution,
  Settlement,
  SettleVerdict,
  SubmitVerdict,
  TaskOutcome,
  TaskRecord,
  TaskState,
  TaskStore,
  TerminalState,
} from '../taskStore.js';
import { type Asker, isVisible, laneOf } from '../tenants.js';
import { Claims, CLAIMING } from './claims.js';
import { awaitDependencies, dependentsOf, findBlocked, parseVerdict, resolveDependencies } from './dependencySteps.js';
import { RedisFunctions } from './redisFunctions.js';
import { IndexSweeper } from './indexSweeper.js';
import { PRIORITIES } from './keys.js';
import { isLarge, LARGE_ARGUMENTS, largeResult, type LargeValue, runStep } from './largeValues.js';
import { RequestRests } from './requestRests.js';
import { runsAlike } from './runsAlike.js';
import { Script } from './script.js';
import { Listening } from './listening.js';
import { settleArguments } from './settleArguments.js';
import { guarded, MAX_BATCH, Shards } from './shards.js';
import { taskExtras, timeoutField } from './taskExtras.js';
import { keepOutput, readOutput } from './taskOutputs.js';
import { findClaims, readNextDueMs, readOutcomesUpTo, readQueueDepth, readStates } from './taskReads.js';
import { parseFailure, parseTask, type TaskHash } from './taskRecord.js';

export interface RedisTaskStoreOptions {
  shards: number;
  leaseMs: number;
  /** How long a finished task and its result are kept. */
  resultTtlSeconds: number;
  /** For the jitter of retries, and where looks begin; default `Math.random`. */
  random?: () => number;
  /** Most different requirements of which tasks may wait in one shard. Default 1,000. */
  maxRequirements?: number;
  /** Another connection, for what Redis says unasked; without one claims never stand, and no ends are heard. */
  listener?: () => Redis;
}

const MAX_REQUIREMENTS = 1_000;

/** The Lua files that scripts need which end tasks. */
const ENDING = ['tenant', 'ending', 'requirement', 'usage', 'retained', 'waiting'] as const;

const scripts = {
  submit: new Script<number[]>('submit', ...CLAIMING, 'waiting'),
  renew: new Script<number[]>('renew'),
  settle: new Script<number | Buffer[]>('settle', 'story', ...ENDING),
  release: new Script<number[]>('release', 'story', 'tenant', 'requirement', 'usage'),
  cancel: new Script<[Buffer, Buffer, Buffer, Buffer?][]>('cancel', ...ENDING),
  reap: new Script<[number, ...[Buffer, Buffer, number, Buffer, Buffer][]]>('reap', 'story', ...ENDING),
};

/** The task store on Redis: one Lua script per step, see `keys.ts` for where things lie. */
export class RedisTaskStore extends RedisFunctions implements TaskStore, OutcomeReader {
  private readonly shards: Shards;
  private readonly sweeper: IndexSweeper;
  private readonly claims: Claims;
  private readonly listening: Listening;

  constructor(
    redis: Redis,
    private readonly options: RedisTaskStoreOptions,
  ) {
    super(redis);
    this.shards = new Shards(options.shards);
    this.listening = new Listening(options.listener);
    this.claims = new Claims(redis, this.shards.all, options.leaseMs);
    this.sweeper = new IndexSweeper(redis, this.shards.all);
  }

  async submit(tasks: NewTask[], onHandedOver?: (count: number) => void): Promise<SubmitVerdict[]> {
    return this.shards.forEach(tasks, taskIdOf, async (shard, batch) => {
      const args: (string | Buffer | number)[] = [shard.taskPrefix, this.options.maxRequirements ?? MAX_REQUIREMENTS];
      const large: LargeValue[] = [];
      const rests = new RequestRests(this.shards.all.length);
      for (const run of runsAlike(batch)) {
        const { functionId, priority, maxAttempts, delayMs, tenant, requirement } = run[0] as NewTask;
        const extras = taskExtras(run[0] as NewTask);
        args.push(
          functionId,
          PRIORITIES.indexOf(priority) + 1,
          maxAttempts,
          timeoutField(run[0] as NewTask),
          delayMs,
          extras,
          laneOf(tenant, requirement),
          ...(tenant === undefined ? [] : rests.before(run)),
          run.length,
        );
        for (const { taskId, arguments: value } of run) {
          if (isLarge(value)) large.push({ key: shard.taskPrefix + taskId, field: LARGE_ARGUMENTS, value });
          args.push(taskId, isLarge(value) ? NO_BYTES : value);
        }
      }
      const keys = [...shard.queues, shard.delayed, shard.recent, shard.requirements, shard.blocked, shard.leases];
      const verdicts = await runStep(this.redis, large, scripts.submit, keys, args);
      onHandedOver?.(verdicts.at(-1) ?? 0);
      return verdicts.slice(0, -1).map((verdict) => SUBMIT_VERDICTS[-verdict + 1] ?? 'refused');
    });
  }

  claim(
    claimant: string,
    limit: number,
    nonce = newNonce(),
    maxBytes = Number.MAX_SAFE_INTEGER,
    offers?: readonly Offer[],
    standMs = 0,
  ): Promise<Claim> {
    const bounds = { limit, nonce, bytes: maxBytes, standMs: this.listening.standMs(standMs) };
    return this.claims.claim(claimant, bounds, offers);
  }

  /** With several shards claims never stand: each would promise the same credit. */
  standBy(claimant: string, hearer: HandOverHearer): void {
    if (this.shards.only) this.listening.standBy(claimant, this.shards.only, this.claims, hearer);
  }

  async withdraw(claimant: string): Promise<string | undefined> {
    return this.shards.only && this.claims.withdraw(this.shards.only, claimant);
  }

  /** Hears of the ends of tasks that were submitted with this reader. Like any event one may get lost. */
  hearEnds(reader: string, hear: (tasks: SettledTask[]) => void): void {
    this.listening.hearEnds(reader, hear);
  }

  /** Hears nothing more; all else goes on. */
  hangUp(): void {
    this.listening.close();
  }

  findClaims(nonces: string[]): Promise<TaskRef[]> {
    return findClaims(this.redis, this.shards, nonces);
  }

  async renew(attempts: (TaskRef & { worker: string })[], adopter = ''): Promise<boolean[]> {
    return this.shards.forEach(attempts, taskIdOf, async (shard, batch) => {
      const args: (string | number)[] = [shard.taskPrefix, this.options.leaseMs, adopter];
      for (const { taskId, fence, worker } of batch) args.push(taskId, fence, worker);
      const verdicts = await scripts.renew.run(this.redis, [shard.leases], args);
      return verdicts.map((verdict) => verdict === 1);
    });
  }

  async settle(settlements: Settlement[], onTold?: (count: number) => void): Promise<SettleVerdict[]> {
    return this.shards.forEach(settlements, taskIdOf, async (shard, batch) => {
      const args: (string | Buffer | number)[] = [shard.taskPrefix, shard.outputPrefix, this.options.resultTtlSeconds];
      const large: LargeValue[] = [];
      for (const settlement of batch) {
        const { taskId, fence, payload: value } = settlement;
        if (isLarge(value)) large.push({ key: shard.taskPrefix + taskId, field: largeResult(fence), value });
        args.push(...settleArguments(settlement, this.options.random ?? Math.random));
      }
      const keys = [...shard.queues, shard.delayed, shard.leases, shard.failures, shard.requirements];
      const verdicts = await runStep(this.redis, large, scripts.settle, keys, args);
      if (typeof verdicts === 'number') {
        onTold?.(verdicts);
        return batch.map(({ event }) => (event === 'task.raised' ? 'failed' : 'completed'));
      }
      return verdicts.map((verdict) => parseVerdict(verdict.toString('latin1')));
    });
  }

  async release(attempts: TaskRef[]): Promise<boolean[]> {
    return this.shards.forEach(attempts, taskIdOf, async (shard, batch) => {
      const args = [shard.taskPrefix];
      for (const { taskId, fence } of batch) args.push(taskId, fence);
      const verdicts = await scripts.release.run(this.redis, [...shard.queues, shard.leases, shard.requirements], args);
      return verdicts.map((verdict) => verdict === 1);
    });
  }

  async cancel(taskIds: string[], asker?: Asker): Promise<CancelVerdict[]> {
    const tasks = taskIds.map((taskId) => ({ taskId }));
    return this.shards.forEach(tasks, taskIdOf, async (shard, batch) => {
      const args = [shard.taskPrefix, this.options.resultTtlSeconds, asker ?? '', ...batch.map(({ taskId }) => taskId)];
      const answers = await scripts.cancel.run(
        this.redis,
        [shard.delayed, shard.leases, shard.failures, shard.blocked],
        args,
      );
      return answers.map(([verdict, state, fence, awaiting]): CancelVerdict => {
        if (String(verdict) === 'unknown') return { cancelled: false, reason: 'unknown' };
        if (String(verdict) === 'terminal') {
          return { cancelled: false, reason: 'terminal', state: String(state) as TerminalState };
        }
        return { cancelled: true, from: String(state) as TaskState, fence: String(fence), ...dependentsOf(awaiting) };
      });
    });
  }

  awaitDependencies(waits: Dependency[]): Promise<(TaskState | undefined)[]> {
    return awaitDependencies(this.redis, this.shards, this.options.resultTtlSeconds, waits);
  }

  resolveDependencies(ends: DependencyEnd[]): Promise<(Resolution | undefined)[]> {
    return resolveDependencies(this.redis, this.shards, this.options.resultTtlSeconds, ends);
  }

  findBlocked(): Promise<Dependency[]> {
    return findBlocked(this.redis, this.shards, this.options.random ?? Math.random);
  }

  keepOutput(printed: TaskRef & { output: Buffer }): Promise<boolean> {
    return keepOutput(this.redis, this.shards, printed);
  }

  async reap(): Promise<Reaped> {
    const reaped: Reaped = { paused: false, tasks: [] };
    for (const shard of this.shards.all) {
      const keys = [...shard.queues, shard.leases, shard.epoch, shard.failures, shard.requirements];
      const args = [shard.taskPrefix, this.options.resultTtlSeconds, this.options.leaseMs, MAX_BATCH];
      const [paused, ...tasks] = await guarded(() => scripts.reap.run(this.redis, keys, args));
      reaped.paused ||= paused === 1;
      for (const [taskId, state, attempt, failureJson, awaiting] of tasks) {
        const to = String(state) === 'failed' ? 'failed' : 'queued';
        const failure = parseFailure(failureJson);
        reaped.tasks.push({
          taskId: String(taskId),
          to,
          attempt,
          ...(failure && { failure }),
          ...dependentsOf(awaiting),
        });
      }
    }
    return reaped;
  }

  readStatuses(taskIds: string[], asker?: Asker): Promise<(TaskState | undefined)[]> {
    return readStates(this.redis, this.shards, taskIds, asker);
  }

  async readOutcomes(taskIds: string[], asker?: Asker): Promise<(TaskOutcome | undefined)[]> {
    const outcomes = await readOutcomesUpTo(this.redis, this.shards, taskIds, Number.MAX_SAFE_INTEGER, asker);
    return outcomes.map((outcome) => (outcome === 'unread' ? undefined : outcome));
  }

  readOutcomesUpTo(
    taskIds: string[],
    maxBytes: number,
    asker?: Asker,
  ): Promise<(TaskOutcome | 'unread' | undefined)[]> {
    return readOutcomesUpTo(this.redis, this.shards, taskIds, maxBytes, asker);
  }

  async readTask(taskId: string, asker?: Asker): Promise<TaskRecord | undefined> {
    return guarded(async () => {
      const hash = (await this.redis.hgetallBuffer(this.shards.taskKey(taskId))) as TaskHash;
      if (!isVisible(asker, String(hash['needs'] ?? ''))) return undefined;
      const waiting = ['delayed', 'retrying'].includes(String(hash.state));
      const due = waiting ? await this.redis.zscore(this.shards.of(taskId).delayed, taskId) : null;
      return parseTask(taskId, hash, due === null ? undefined : Number(due));
    });
  }

  readOutput(taskId: string, asker?: Asker): Promise<Buffer | undefined> {
    return readOutput(this.redis, this.shards, taskId, asker);
  }

  nextDueMs(): Promise<number | undefined> {
    return readNextDueMs(this.redis, this.shards);
  }

  queueDepth(): Promise<number> {
    return readQueueDepth(this.redis, this.shards);
  }

  sweep(): Promise<void> {
    return guarded(() => this.sweeper.sweep());
  }

  async ping(): Promise<void> {
    await guarded(() => this.redis.ping());
  }

  async close(): Promise<void> {
    this.hangUp();
    this.redis.disconnect();
    return Promise.resolve();
  }
}

/** By what `submit.lua` answers: 1, 0, -1, ... */
const SUBMIT_VERDICTS: readonly SubmitVerdict[] = ['accepted', 'existing', 'refused', 'tooMany', 'tooLarge'];
const NO_BYTES = Buffer.alloc(0);
const taskIdOf = ({ taskId }: { taskId: string }): string => taskId;
