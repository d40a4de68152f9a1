import { betterOrigin, functionBody, pythonNeeded, summaryOf } from '../../bus/functionOrigin.js';
import type { FunctionRuns } from '../../bus/functionRuns.js';
import type { TaskRef } from '../../bus/messages.js';
import { readRecord } from '../../bus/outputRecord.js';
import { functionIdOf, shardOf } from '../../bus/redis/keys.js';
import type {
  DispatcherRecord,
  FunctionRecord,
  FunctionRegistration,
  TaskOutcome,
  TaskRecord,
  TaskState,
  WorkerRecord,
} from '../../bus/taskStore.js';
import type { MemoryStoreData, ShardData } from './memoryStoreData.js';
import { type Asker, isVisible, laneOf } from '../../bus/tenants.js';
import { recordOf, type StoredTask } from './storedTask.js';

const NO_BYTES = Buffer.alloc(0);
const ID_LENGTH = 36;

/** The part of the model that changes no task's state: reads, functions, outputs, worker records. */
export class MemoryStoreReads {
  constructor(
    protected readonly data: MemoryStoreData,
    protected readonly options: { nowMs: () => number },
  ) {}

  async registerFunction(registration: FunctionRegistration): Promise<{ functionId: string; created: boolean }> {
    const functionId = functionIdOf(registration.payload, registration.tenant);
    const known = this.data.functions.get(functionId);
    if (!known) this.data.functions.set(functionId, { ...registration, registeredAtMs: this.options.nowMs() });
    else if (registration.origin) {
      known.origin = betterOrigin(known.origin, registration.origin) ?? known.origin ?? registration.origin;
    }
    return { functionId, created: !known };
  }

  async readFunction(functionId: string, asker?: Asker): Promise<FunctionRecord | undefined> {
    const found = this.functionFor(functionId, asker);
    return (
      found && {
        functionId,
        name: found.name,
        payloadBytes: found.payload.length,
        registeredAtMs: found.registeredAtMs,
        ...(found.origin && { origin: summaryOf(found.origin) }),
      }
    );
  }

  async addFunctionRuns(counted: ReadonlyMap<string, FunctionRuns>): Promise<void> {
    for (const [functionId, more] of counted) {
      const known = this.runsOf(functionId);
      const buckets = new Map(known.buckets);
      for (const [bucket, count] of more.buckets) buckets.set(bucket, (buckets.get(bucket) ?? 0) + count);
      this.data.functionRuns.set(functionId, {
        completed: known.completed + more.completed,
        failed: known.failed + more.failed,
        runTimeUs: known.runTimeUs + more.runTimeUs,
        buckets,
      });
    }
  }

  async readFunctionRuns(functionIds: readonly string[]): Promise<FunctionRuns[]> {
    return functionIds.map((functionId) => this.runsOf(functionId));
  }

  private runsOf(functionId: string): FunctionRuns {
    return this.data.functionRuns.get(functionId) ?? { completed: 0, failed: 0, runTimeUs: 0, buckets: new Map() };
  }

  async pythonsNeeded(functionIds: string[], asker?: Asker): Promise<(string | undefined)[]> {
    const found = functionIds.map((functionId) => this.functionFor(functionId, asker));
    return found.map((one) => one && pythonNeeded(one.origin));
  }

  async loadFunctions(functionIds: string[]): Promise<(Buffer | undefined)[]> {
    const found = functionIds.map((functionId) => this.data.functions.get(functionId));
    return found.map((one) => one && functionBody(one.payload, one.origin));
  }

  async findClaims(nonces: string[]): Promise<TaskRef[]> {
    const running = this.data.shards.flatMap((shard) =>
      shard.leases
        .upTo(Infinity, Infinity)
        .map((taskId) => ({ taskId, fence: this.taskIn(shard, taskId)?.fence ?? '' })),
    );
    return running.filter(({ fence }) => nonces.includes(fence.slice(fence.indexOf(':') + 1)));
  }

  async readStatuses(taskIds: string[], asker?: Asker): Promise<(TaskState | undefined)[]> {
    return taskIds.map((taskId) => this.find(taskId, asker)?.state);
  }

  async readOutcomes(taskIds: string[], asker?: Asker): Promise<(TaskOutcome | undefined)[]> {
    return taskIds.map((taskId) => {
      const task = this.find(taskId, asker);
      if (!task) return undefined;
      const { state, result = NO_BYTES, failure } = task;
      return { taskId, state, payload: result, ...(failure && { failure }) };
    });
  }

  async readTask(taskId: string, asker?: Asker): Promise<TaskRecord | undefined> {
    const task = this.find(taskId, asker);
    return task && recordOf(task, this.shardOf(taskId).delayed.scoreOf(taskId));
  }

  async readOutput(taskId: string, asker?: Asker): Promise<Buffer | undefined> {
    if (!this.find(taskId, asker)) return undefined;
    const output = this.shardOf(taskId).outputs.get(taskId);
    return output && output.expiresAtMs > this.options.nowMs() ? output.bytes : NO_BYTES;
  }

  async keepOutput({ taskId, fence, output }: TaskRef & { output: Buffer }): Promise<boolean> {
    const task = this.find(taskId);
    if (task?.state !== 'cancelled' || task.fence !== fence) return false;
    this.shardOf(taskId).outputs.set(taskId, { bytes: output, expiresAtMs: task.expiresAtMs ?? Infinity });
    if (readRecord(output).truncated) task.outputTruncated = true;
    return true;
  }

  async nextDueMs(): Promise<number | undefined> {
    const dueAtMs = Math.min(...this.data.shards.map(({ delayed }) => delayed.lowest ?? Infinity));
    return dueAtMs === Infinity ? undefined : dueAtMs - this.options.nowMs();
  }

  async queueDepth(): Promise<number> {
    return this.data.shards.reduce(
      (sum, { queues }) => sum + queues.flatMap((lists) => [...lists.values()]).flat().length,
      0,
    );
  }

  async writeWorkers(workers: WorkerRecord[]): Promise<void> {
    for (const worker of workers) this.data.workers.set(worker.name, worker);
  }

  async forgetWorkers(names: string[]): Promise<void> {
    for (const name of names) this.data.workers.delete(name);
  }

  async readWorkers(): Promise<WorkerRecord[]> {
    return [...this.data.workers.values()];
  }

  async writeDispatcher(dispatcher: DispatcherRecord): Promise<void> {
    this.data.dispatchers.set(dispatcher.id, dispatcher);
  }

  async forgetDispatchers(ids: string[]): Promise<void> {
    for (const id of ids) this.data.dispatchers.delete(id);
  }

  async readDispatchers(): Promise<DispatcherRecord[]> {
    return [...this.data.dispatchers.values()];
  }

  async sweep(): Promise<void> {
    for (const shard of this.data.shards) {
      for (const streams of [shard.recent, shard.failures]) {
        for (const [whose, ids] of streams) {
          streams.set(
            whose,
            ids.filter((id) => this.taskIn(shard, id.slice(0, ID_LENGTH))),
          );
        }
      }
    }
  }

  async ping(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    return Promise.resolve();
  }

  protected find(taskId: string, asker?: Asker): StoredTask | undefined {
    const task = this.taskIn(this.shardOf(taskId), taskId);
    return task && isVisible(asker, laneOf(task.tenant)) ? task : undefined;
  }

  private functionFor(functionId: string, asker: Asker): ReturnType<MemoryStoreData['functions']['get']> {
    const found = this.data.functions.get(functionId);
    return found && isVisible(asker, laneOf(found.tenant)) ? found : undefined;
  }

  protected taskIn(shard: ShardData, taskId: string): StoredTask | undefined {
    const task = shard.tasks.get(taskId);
    if (task?.expiresAtMs === undefined || task.expiresAtMs > this.options.nowMs()) return task;
    shard.tasks.delete(taskId);
    return undefined;
  }

  protected shardOf(taskId: string): ShardData {
    return this.data.shards[shardOf(taskId, this.data.shards.length)] as ShardData;
  }
}
