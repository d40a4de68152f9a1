import {
  type Dependency,
  type DependencyEnd,
  isTerminal,
  type Resolution,
  type TaskState,
} from '../../bus/taskStore.js';
import type { ShardData } from './memoryStoreData.js';
import type { StoredTask } from './storedTask.js';

/** What the steps of dependencies need of the store. */
export interface StoreAccess {
  shards: readonly ShardData[];
  nowMs: () => number;
  random: () => number;
  resultTtlSeconds: number;
  shardOf: (taskId: string) => ShardData;
  find: (taskId: string) => StoredTask | undefined;
  enqueue: (task: StoredTask) => void;
  transition: (task: StoredTask, event: string, to: TaskState) => void;
  fail: (task: StoredTask, event: string, detail: string) => void;
}

const LOOK_EVERY_MS = 5_000;
const MAX_TASKS = 50;
const MAX_IDS = 40;
const WORDS = { failed: 'failed', cancelled: 'was cancelled', gone: 'is not there any more: its result has expired' };

export function awaitDependencies(access: StoreAccess, waits: Dependency[]): (TaskState | undefined)[] {
  return waits.map(({ taskId, dependency }) => {
    const task = access.find(dependency);
    if (!task) return undefined;
    if (!isTerminal(task.state)) {
      task.dependents.add(taskId);
      task.awaited = true;
    } else {
      task.expiresAtMs = Math.max(task.expiresAtMs ?? 0, access.nowMs() + access.resultTtlSeconds * 1000);
    }
    return task.state;
  });
}

export function resolveDependencies(access: StoreAccess, ends: DependencyEnd[]): (Resolution | undefined)[] {
  return ends.map(({ taskId, dependency, state }): Resolution | undefined => {
    const task = access.find(taskId);
    if (task?.state !== 'blocked') return undefined;
    const shard = access.shardOf(taskId);
    if (state !== 'completed') {
      const message = `task ${dependency}, which it depends on, ${WORDS[state ?? 'gone']}`;
      task.failure = { type: 'DependencyFailed', message };
      leaveBlocked(shard, task);
      access.fail(task, 'task.dependencyFailed', ` ${message}`);
      return { to: 'failed', dependents: takeDependents(task) };
    }
    task.unmet.delete(dependency);
    if (task.unmet.size > 0) return undefined;
    leaveBlocked(shard, task);
    const to = task.dueMs !== undefined && task.dueMs > access.nowMs() ? 'delayed' : 'queued';
    if (to === 'delayed') shard.delayed.add(taskId, task.dueMs as number);
    else access.enqueue(task);
    access.transition(task, 'task.unblocked', to);
    return { to };
  });
}

export function findBlocked(access: StoreAccess): Dependency[] {
  const found: Dependency[] = [];
  for (const shard of access.shards) {
    const random = access.random();
    for (const taskId of toLookAt(shard, access.nowMs())) {
      const task = access.find(taskId);
      if (task?.state !== 'blocked') {
        shard.blocked.remove(taskId);
        continue;
      }
      shard.blocked.add(taskId, access.nowMs());
      const { dependsOn = [] } = task;
      const first = Math.floor(random * dependsOn.length);
      const looked = [...[...task.unmet].slice(0, MAX_IDS), ...dependsOn.slice(first, first + MAX_IDS)];
      for (const dependency of new Set(looked)) found.push({ taskId, dependency });
    }
  }
  return found;
}

function toLookAt({ blocked }: ShardData, nowMs: number): string[] {
  const all = blocked.upTo(Infinity, Infinity);
  const inFuture = all.filter((taskId) => (blocked.scoreOf(taskId) ?? 0) > nowMs).slice(0, MAX_TASKS);
  return [...inFuture, ...blocked.upTo(nowMs - LOOK_EVERY_MS, MAX_TASKS - inFuture.length)];
}

export function leaveBlocked(shard: ShardData, task: StoredTask): void {
  shard.blocked.remove(task.taskId);
  task.unmet.clear();
}

/** Those that wait for the task, once. */
export function takeDependents(task: StoredTask): string[] {
  const dependents = [...task.dependents];
  task.dependents.clear();
  return dependents;
}
