import type { Dependency, DependencyEnd, Resolution, SettleVerdict, TaskState } from '../../bus/taskStore.js';
import {
  awaitDependencies,
  findBlocked,
  resolveDependencies,
  type StoreAccess,
  takeDependents,
} from './dependencyModel.js';
import { addToIndex } from './memoryStoreData.js';
import { MemoryStoreQueues } from './memoryStoreQueues.js';
import type { StoredTask } from './storedTask.js';

/** The part of the model that ends tasks, and tells those that depend on them. */
export class MemoryDependencies extends MemoryStoreQueues {
  async awaitDependencies(waits: Dependency[]): Promise<(TaskState | undefined)[]> {
    return awaitDependencies(this.access(), waits);
  }

  async resolveDependencies(ends: DependencyEnd[]): Promise<(Resolution | undefined)[]> {
    return resolveDependencies(this.access(), ends);
  }

  async findBlocked(): Promise<Dependency[]> {
    return findBlocked(this.access());
  }

  protected withDependents(taskId: string, verdict: SettleVerdict): SettleVerdict {
    const task = this.find(taskId);
    if (!task || (verdict !== 'completed' && verdict !== 'failed')) return verdict;
    const dependents = takeDependents(task);
    return dependents.length === 0 ? verdict : { state: verdict, dependents };
  }

  protected finish(
    task: StoredTask,
    event: string,
    to: 'completed' | 'failed' | 'cancelled',
    detail = '',
  ): 'completed' | 'failed' | 'cancelled' {
    task.finishedMs = this.options.nowMs();
    task.expiresAtMs = task.finishedMs + this.keptMs(task);
    if (to !== 'completed')
      addToIndex(this.shardOf(task.taskId).failures, task, task.taskId + (task.failure?.type ?? 'UserException'));
    return this.transition(task, event, to, detail);
  }

  protected keptMs({ resultTtlSeconds: own, awaited }: StoredTask): number {
    const usual = this.options.resultTtlSeconds;
    return (awaited && own !== undefined ? Math.max(own, usual) : (own ?? usual)) * 1000;
  }

  private access(): StoreAccess {
    return {
      shards: this.data.shards,
      nowMs: this.options.nowMs,
      random: this.options.random,
      resultTtlSeconds: this.options.resultTtlSeconds,
      shardOf: (taskId) => this.shardOf(taskId),
      find: (taskId) => this.find(taskId),
      enqueue: (task) => this.queueOf(this.shardOf(task.taskId), task).unshift(task.taskId),
      transition: (task, event, to) => this.transition(task, event, to),
      fail: (task, event, detail) => this.finish(task, event, 'failed', detail),
    };
  }
}
