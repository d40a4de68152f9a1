import type { FunctionRuns } from '../../bus/functionRuns.js';
import type { DispatcherRecord, FunctionRegistration, WorkerRecord } from '../../bus/taskStore.js';
import type { StoredTask } from './storedTask.js';

/** The lists of one priority, by requirement, '' for tasks without one; an empty list is absent. */
export type Queues = Map<string, string[]>;

/** What Redis holds for one shard; see `bus/redis/keys.ts`. */
export interface ShardData {
  readonly tasks: Map<string, StoredTask>;
  readonly outputs: Map<string, { bytes: Buffer; expiresAtMs: number }>;
  /** By priority; a list's left end is index 0: pushed on the left, claimed on the right. */
  readonly queues: readonly [Queues, Queues, Queues];
  /** Those known, with the second of their last use. */
  readonly requirements: Map<string, number>;
  /** Grows with them. */
  requirementsVersion: number;
  readonly delayed: SortedSet;
  readonly leases: SortedSet;
  readonly blocked: SortedSet;
  epoch: { runId: string; lastMs: number; graceMs: number; gaps: number } | undefined;
  /** Ids in the order they were accepted. */
  recent: string[];
  /** Ids with the type of their failure, in the order they ended. */
  failures: [taskId: string, failureType: string][];
}

/** All that Redis holds: several `MemoryTaskStore`s may share it, as several connections share a Redis. */
export class MemoryStoreData {
  readonly shards: ShardData[];
  readonly functionRuns = new Map<string, FunctionRuns>();
  readonly functions = new Map<string, FunctionRegistration & { registeredAtMs: number }>();
  readonly workers = new Map<string, WorkerRecord>();
  readonly dispatchers = new Map<string, DispatcherRecord>();
  private restarts = 0;

  constructor(shards: number) {
    this.shards = Array.from({ length: shards }, () => ({
      tasks: new Map(),
      outputs: new Map(),
      queues: [new Map(), new Map(), new Map()],
      requirements: new Map(),
      requirementsVersion: 0,
      delayed: new SortedSet(),
      leases: new SortedSet(),
      blocked: new SortedSet(),
      epoch: undefined,
      recent: [],
      failures: [],
    }));
  }

  get runId(): string {
    return `run-${this.restarts}`;
  }

  /** As Redis with an append-only file: nothing is lost, but it is another run. */
  restart(): void {
    this.restarts++;
  }
}

/** A Redis sorted set, as far as the scripts use it. Sets here are small: it is sorted when it is read. */
export class SortedSet {
  private readonly scores = new Map<string, number>();

  get size(): number {
    return this.scores.size;
  }

  add(member: string, score: number): void {
    this.scores.set(member, score);
  }

  remove(member: string): void {
    this.scores.delete(member);
  }

  scoreOf(member: string): number | undefined {
    return this.scores.get(member);
  }

  capAt(highest: number): void {
    for (const [member, score] of this.scores) if (score > highest) this.scores.set(member, highest);
  }

  /** Members with a score up to `max`, by score, then by name, at most `limit`. */
  upTo(max: number, limit: number): string[] {
    const found: [member: string, score: number][] = [];
    for (const entry of this.scores) if (entry[1] <= max) found.push(entry);
    found.sort(([a, scoreA], [b, scoreB]) => scoreA - scoreB || (a < b ? -1 : 1));
    return found.slice(0, limit).map(([member]) => member);
  }
}
