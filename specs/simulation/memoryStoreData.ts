import type { FunctionRuns } from '../../bus/functionRuns.js';
import type { DispatcherRecord, FunctionRegistration, WorkerRecord } from '../../bus/taskStore.js';
import { type Listener, StandingClaims } from './memoryStanding.js';
import { Turns } from './memoryTurns.js';
import { SortedSet } from './sortedSet.js';
import type { StoredTask } from './storedTask.js';

/** The lists of one priority, by lane, '' for most tasks; an empty list is absent. */
export type Queues = Map<string, string[]>;

export type Streams = Map<string, string[]>;

/** What Redis holds for one shard; see `bus/redis/keys.ts`. */
export interface ShardData {
  readonly tasks: Map<string, StoredTask>;
  readonly outputs: Map<string, { bytes: Buffer; expiresAtMs: number }>;
  /** By priority; a list's left end is index 0: pushed on the left, claimed on the right. */
  readonly queues: readonly [Queues, Queues, Queues];
  /** By priority. */
  readonly turns: readonly [Turns, Turns, Turns];
  /** Tenants have lists, or had. */
  hasTenants: boolean;
  /** Those known, with the second of their last use. */
  readonly requirements: Map<string, number>;
  /** Grows with them. */
  requirementsVersion: number;
  readonly delayed: SortedSet;
  readonly leases: SortedSet;
  readonly blocked: SortedSet;
  readonly standing: StandingClaims;
  epoch: { runId: string; lastMs: number; graceMs: number; gaps: number } | undefined;
  /** Ids in the order they were accepted, by whose stream they are in, '' for that of `default`. */
  readonly recent: Streams;
  /** Ids with the type of their failure behind, in the order they ended. */
  readonly failures: Streams;
}

/** As `streams_of` of `tenant.lua`. */
export function addToIndex(streams: Streams, { tenant = 'default' }: StoredTask, entry: string): void {
  for (const whose of tenant === 'default' ? [''] : [tenant, '/']) {
    streams.set(whose, [...(streams.get(whose) ?? []), entry]);
  }
}

/** All that Redis holds: several `MemoryTaskStore`s may share it, as several connections share a Redis. */
export class MemoryStoreData {
  readonly shards: ShardData[];
  readonly functionRuns = new Map<string, FunctionRuns>();
  readonly functions = new Map<string, FunctionRegistration & { registeredAtMs: number }>();
  readonly workers = new Map<string, WorkerRecord>();
  readonly dispatchers = new Map<string, DispatcherRecord>();
  /** By claimant: who listens for what claims get that stand. */
  readonly listeners = new Map<string, Listener>();
  private restarts = 0;

  constructor(shards: number) {
    this.shards = Array.from({ length: shards }, () => ({
      tasks: new Map(),
      outputs: new Map(),
      queues: [new Map(), new Map(), new Map()],
      turns: [new Turns(), new Turns(), new Turns()],
      hasTenants: false,
      requirements: new Map(),
      requirementsVersion: 0,
      delayed: new SortedSet(),
      leases: new SortedSet(),
      blocked: new SortedSet(),
      standing: new StandingClaims(),
      epoch: undefined,
      recent: new Map(),
      failures: new Map(),
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
