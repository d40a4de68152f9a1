import {
  type CancelVerdict,
  isTerminal,
  type NewTask,
  type Reaped,
  type Settlement,
  type SettleVerdict,
  type SubmitVerdict,
  type TaskStore,
} from '../../bus/taskStore.js';
import type { Failure, TaskRef } from '../../bus/messages.js';
import type { Asker } from '../../bus/tenants.js';
import type { ShardData } from './memoryStoreData.js';
import { addToIndex } from './memoryStoreData.js';
import { leaveBlocked, takeDependents } from './dependencyModel.js';
import { MemoryDependencies } from './memoryDependencies.js';
import { nextGrace } from './reapGrace.js';
import { retryDelayMs, retryDetail } from './retryModel.js';
import { storedTask, type StoredTask } from './storedTask.js';

/** Bound of the script. */
const MAX_BATCH = 500;

/**
 * The task store as a model in memory: what `RedisTaskStore` and its Lua scripts do, step by step, with time and randomness
 * passed in. `memoryTaskStore.spec.ts` holds the two equal. Every step happens within the call; the promise is its answer.
 *
 * `holdsFence` and `isReapingPaused` are where the breakages of the simulator reach in.
 */
export class MemoryTaskStore extends MemoryDependencies implements TaskStore {
  // --- steps, one method per script

  async submit(tasks: NewTask[], onHandedOver?: (count: number) => void): Promise<SubmitVerdict[]> {
    const queued = new Map<ShardData, number>();
    const inBatch = new Map(this.data.shards.map((shard) => [shard, new Set<string>()]));
    const verdicts = tasks.map((submitted): SubmitVerdict => {
      const shard = this.shardOf(submitted.taskId);
      if (this.taskIn(shard, submitted.taskId)) return 'existing';
      const { requirement = '' } = submitted;
      if (requirement !== '' && !this.isAdmitted(shard, requirement, inBatch.get(shard))) return 'refused';
      const state = submitted.dependsOn ? 'blocked' : submitted.delayMs > 0 ? 'delayed' : 'queued';
      const task = storedTask(submitted, state);
      shard.tasks.set(task.taskId, task);
      addToIndex(shard.recent, task, task.taskId);
      const dueMs = this.options.nowMs() + submitted.delayMs;
      if (state === 'blocked') {
        if (submitted.delayMs > 0) task.dueMs = dueMs;
        shard.blocked.add(task.taskId, this.options.nowMs());
      } else if (state === 'delayed') shard.delayed.add(task.taskId, dueMs);
      else {
        this.queueOf(shard, task).unshift(task.taskId);
        queued.set(shard, (queued.get(shard) ?? 0) + 1);
      }
      if (state !== 'queued') this.noteUse(shard, task);
      this.transition(task, 'task.submitted', task.state, '', 'new');
      return 'accepted';
    });
    for (const [shard, most] of queued) onHandedOver?.(this.handOver(shard, most));
    return verdicts;
  }

  async renew(attempts: (TaskRef & { worker: string })[], adopter = ''): Promise<boolean[]> {
    return attempts.map(({ taskId, fence, worker }) => {
      const shard = this.shardOf(taskId);
      const task = this.taskIn(shard, taskId);
      if (task?.state !== 'running' || task.fence !== fence) return false;
      shard.leases.add(taskId, this.options.nowMs() + this.options.leaseMs);
      task.worker = worker;
      if (adopter !== '') task.claimant = adopter;
      return true;
    });
  }

  async settle(settlements: Settlement[]): Promise<SettleVerdict[]> {
    return settlements.map((settlement) => this.withDependents(settlement.taskId, this.settleOne(settlement)));
  }

  async release(attempts: TaskRef[]): Promise<boolean[]> {
    return attempts.map(({ taskId, fence }) => {
      const shard = this.shardOf(taskId);
      const task = this.taskIn(shard, taskId);
      if (task?.state !== 'running' || task.fence !== fence) return false;
      task.attempt--;
      task.fence = undefined;
      shard.leases.remove(taskId);
      this.queueOf(shard, task).push(taskId);
      this.transition(task, 'task.released', 'queued');
      return true;
    });
  }

  async cancel(taskIds: string[], asker?: Asker): Promise<CancelVerdict[]> {
    return taskIds.map((taskId): CancelVerdict => {
      const shard = this.shardOf(taskId);
      const task = this.find(taskId, asker);
      if (!task) return { cancelled: false, reason: 'unknown' };
      const { state } = task;
      if (isTerminal(state)) return { cancelled: false, reason: 'terminal', state };
      task.failure = { type: 'Cancelled', message: 'the task was cancelled' };
      shard.leases.remove(taskId);
      shard.delayed.remove(taskId);
      if (state === 'blocked') leaveBlocked(shard, task);
      this.finish(task, 'task.cancelled', 'cancelled');
      const dependents = takeDependents(task);
      return { cancelled: true, from: state, fence: task.fence ?? '', ...(dependents.length > 0 && { dependents }) };
    });
  }

  async reap(): Promise<Reaped> {
    const reaped: Reaped = { paused: false, tasks: [] };
    for (const shard of this.data.shards) {
      const graceMs = nextGrace(shard, this.data.runId, this.options.nowMs(), this.options.leaseMs);
      if (this.isReapingPaused(graceMs)) reaped.paused = true;
      else this.reapShard(shard, reaped);
    }
    return reaped;
  }

  // --- what a breakage overrides

  /** May this attempt be settled? Only under the fence that the task carries. */
  protected holdsFence(task: StoredTask, fence: string): boolean {
    return task.fence === fence;
  }

  /** For one lease after a time in which the living may have been unable to renew nothing expires. */
  protected isReapingPaused(graceMs: number): boolean {
    return graceMs > 0;
  }

  // --- parts of steps

  private settleOne(settlement: Settlement): SettleVerdict {
    const { taskId, fence, worker } = settlement;
    const shard = this.shardOf(taskId);
    const task = this.taskIn(shard, taskId);
    if (!task || !this.holdsFence(task, fence)) return 'stale';
    if (settlement.lostBy !== undefined && settlement.lostBy !== task.claimant) return 'stale';
    if (task.state === 'completed' || task.state === 'failed') return 'duplicate';
    if (task.state !== 'running') return 'stale';
    shard.leases.remove(taskId);
    task.worker = worker;
    if (settlement.output.length > 0) {
      const expiresAtMs = this.options.nowMs() + this.keptMs(task);
      shard.outputs.set(taskId, { bytes: settlement.output, expiresAtMs });
      if (settlement.outputTruncated) task.outputTruncated = true;
    }
    switch (settlement.event) {
      case 'task.succeeded':
        return this.recordResult(task, settlement, 'completed', ` on ${worker}`);
      case 'task.raised':
        return this.raise(shard, task, settlement);
      case 'task.interrupted':
        return this.interrupt(shard, task, settlement);
      default:
        return settlement.event satisfies never;
    }
  }

  private raise(shard: ShardData, task: StoredTask, settlement: Settlement): SettleVerdict {
    const { failure, worker } = settlement;
    const delayMs = retryDelayMs(task.retry, task.retries, failure, this.options.random());
    if (!failure || delayMs === undefined) return this.recordResult(task, settlement, 'failed', ` on ${worker}`);
    task.retries++;
    shard.delayed.add(task.taskId, this.options.nowMs() + delayMs);
    return this.transition(task, 'task.retried', 'retrying', retryDetail(failure, worker, delayMs));
  }

  private interrupt(shard: ShardData, task: StoredTask, settlement: Settlement): SettleVerdict {
    const failure = settlement.failure as Failure;
    const cause = failure.signal ?? (failure.exitCode === undefined ? failure.type : `exit code ${failure.exitCode}`);
    const interruptions = joined(task.interruptions, cause);
    const detail = ` on ${settlement.worker}: ${cause}`;
    if (hasAttemptsLeft(task)) {
      task.interruptions = interruptions;
      this.queueOf(shard, task).push(task.taskId);
      return this.transition(task, 'task.interrupted', 'queued', detail);
    }
    const message = `${failure.message} (attempts ended by: ${interruptions})`;
    return this.recordResult(task, { ...settlement, failure: { ...failure, message } }, 'failed', detail);
  }

  private recordResult(
    task: StoredTask,
    settlement: Settlement,
    to: 'completed' | 'failed',
    detail: string,
  ): SettleVerdict {
    task.result = settlement.payload;
    task.startedMs = Math.round(settlement.startedAtMs);
    task.runTimeUs = settlement.runTimeUs;
    task.peakMemoryKib = settlement.peakMemoryKib;
    if (settlement.failure) task.failure = settlement.failure;
    if (to === 'completed') task.arguments = undefined;
    return this.finish(task, settlement.event, to, detail);
  }

  private reapShard(shard: ShardData, reaped: Reaped): void {
    for (const taskId of shard.leases.upTo(this.options.nowMs(), MAX_BATCH)) {
      shard.leases.remove(taskId);
      const task = this.taskIn(shard, taskId);
      if (task?.state !== 'running') continue;
      const holder = task.worker ?? task.claimant ?? 'unknown';
      const interruptions = joined(task.interruptions, 'lease expired');
      const detail = ` on ${holder}: lease expired`;
      const { attempt } = task;
      if (hasAttemptsLeft(task)) {
        task.interruptions = interruptions;
        this.queueOf(shard, task).push(taskId);
        this.transition(task, 'task.interrupted', 'queued', detail);
        reaped.tasks.push({ taskId, to: 'queued', attempt });
        continue;
      }
      const message = `the worker was lost while it had the task, last seen at ${holder} (attempts ended by: ${interruptions})`;
      task.failure = { type: 'WorkerFailure', message };
      this.finish(task, 'task.interrupted', 'failed', detail);
      const dependents = takeDependents(task);
      const { failure } = task;
      reaped.tasks.push({ taskId, to: 'failed', attempt, failure, ...(dependents.length > 0 && { dependents }) });
    }
  }
}

/** May it be interrupted once more? */
const hasAttemptsLeft = ({ attempt, retries, maxAttempts }: StoredTask): boolean => attempt - retries < maxAttempts;

const joined = (interruptions: string | undefined, cause: string): string =>
  interruptions === undefined ? cause : `${interruptions}, ${cause}`;
