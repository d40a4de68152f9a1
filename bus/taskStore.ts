import type { DispatcherRecord, WorkerRecord } from './actorRecords.js';
import type { FunctionOrigin, OriginSummary } from './functionOrigin.js';
import type { FunctionRuns } from './functionRuns.js';
import type { Failure, Isolation, TaskInput, TaskRef } from './messages.js';
import type { Priority } from './redis/keys.js';
import type { Offer } from './requirement.js';
import type { RetryPolicy } from './retryPolicy.js';
import type { Asker } from './tenants.js';

export type { DispatcherRecord, RetryPolicy, WorkerRecord };

/**
 * The source of truth, as actors see it: each method is one atomic step per shard, takes a batch and answers for each item
 * in order. The Redis implementation is `redis/redisTaskStore.ts`; what each step may do is the task machine's definition.
 *
 * Every method rejects with `PlatformError` STORE_UNAVAILABLE when the store cannot be reached, within a bound; the step may
 * then have happened or not, and every step is safe to repeat.
 *
 * To an `asker` that is a tenant what others have does not exist; without one all is told. Actors have none.
 */
export interface TaskStore {
  registerFunction(registration: FunctionRegistration): Promise<{ functionId: string; created: boolean }>;
  readFunction(functionId: string, asker?: Asker): Promise<FunctionRecord | undefined>;
  /** Which Python a worker must have to load each, such as `cpython-3.11`; '' for any, undefined where there is no function. */
  pythonsNeeded(functionIds: string[], asker?: Asker): Promise<(string | undefined)[]>;
  /** Bodies of functions, undefined where there is none. */
  loadFunctions(functionIds: string[]): Promise<(Buffer | undefined)[]>;
  /** Adds to what is counted of functions. A repeat counts twice: what failed is better left away. */
  addFunctionRuns(counted: ReadonlyMap<string, FunctionRuns>): Promise<void>;
  /** What is counted of each, zeros of unknown ones. */
  readFunctionRuns(functionIds: readonly string[]): Promise<FunctionRuns[]>;

  /**
   * new -> queued | delayed | blocked. An id that exists already is left alone and answered `existing`. `refused`: tasks of so many different
   * requirements are waiting that no other one is taken.
   * `tooMany`, `tooLarge`: with this request its tenant would have more tasks, or bytes of arguments, waiting than it may.
   * @param onHandedOver told how many tasks claims that stood have got in the same step: of these nobody needs to hear
   */
  submit(tasks: NewTask[], onHandedOver?: (count: number) => void): Promise<SubmitVerdict[]>;
  /**
   * queued -> running, up to `limit`, and none beyond `maxBytes` of arguments (the last may exceed them); also moves due delayed and
   * retrying tasks back into the queue. `nonce` is random, new for each call, and the second half of the fences it gives.
   * @param offers the workers that will run them: none is given more than its credit, or what it cannot run. Absent: workers for
   * tasks without a requirement, as many as `limit`.
   * @param standMs for so long a claim that has not got all it asked for may stand, if the store can, see `standBy`
   */
  claim(
    claimant: string,
    limit: number,
    nonce: string,
    maxBytes?: number,
    offers?: readonly Offer[],
    standMs?: number,
  ): Promise<Claim>;
  /** Claims of this claimant may stand from now on: the step that accepts the next tasks hands them over to one. */
  standBy(claimant: string, hearer: HandOverHearer): void;
  /** The claimant has no workers any more, or leaves; the `standingNonce` under which its claim that stood until now would have got something. */
  withdraw(claimant: string): Promise<string | undefined>;
  /** Running attempts of the claims with these nonces, whose answers got lost: nobody else knows of them. Looks at every running task. */
  findClaims(nonces: string[]): Promise<TaskRef[]>;
  /**
   * Extends leases; false where the fence no longer holds and the attempt must be stopped. With `adopter` the attempts are that
   * dispatcher's from now on, whoever claimed them.
   */
  renew(attempts: (TaskRef & { worker: string })[], adopter?: string): Promise<boolean[]>;
  /** running -> completed | failed | queued | retrying. @param onTold learns to how many readers the ends were told, where all have ended */
  settle(settlements: Settlement[], onTold?: (count: number) => void): Promise<SettleVerdict[]>;
  /** running -> queued, uncounted: the attempt had not started. False where the fence no longer holds. */
  release(attempts: TaskRef[]): Promise<boolean[]>;
  /** queued | delayed | retrying | blocked | running -> cancelled. */
  cancel(taskIds: string[], asker?: Asker): Promise<CancelVerdict[]>;
  /** What a cancelled attempt had printed until it was stopped, as a record; false where it is not the attempt that was cancelled. */
  keepOutput(printed: TaskRef & { output: Buffer }): Promise<boolean>;
  /** Notes of tasks that they wait for others; the states of those: what has ended already must be resolved. */
  awaitDependencies(waits: Dependency[]): Promise<(TaskState | undefined)[]>;
  /** blocked -> queued | delayed | failed, once all a task depends on has completed, or one has not. Undefined where nothing changed. */
  resolveDependencies(ends: DependencyEnd[]): Promise<(Resolution | undefined)[]>;
  /** A few of the blocked tasks that were not looked at for a while, with some of what they depend on. */
  findBlocked(): Promise<Dependency[]>;
  /** running -> queued | failed, for expired leases; nothing for one lease after nobody could renew: Redis was away, or nobody reaped. */
  reap(): Promise<Reaped>;

  /** Status alone, undefined for unknown ids. */
  readStatuses(taskIds: string[], asker?: Asker): Promise<(TaskState | undefined)[]>;
  readOutcomes(taskIds: string[], asker?: Asker): Promise<(TaskOutcome | undefined)[]>;
  readTask(taskId: string, asker?: Asker): Promise<TaskRecord | undefined>;
  readOutput(taskId: string, asker?: Asker): Promise<Buffer | undefined>;
  /** Until the next delayed or retrying task is due, negative when it is overdue; undefined where there is none. */
  nextDueMs(): Promise<number | undefined>;
  /** Number of entries waiting in the queues, cancelled ones not yet skipped included. */
  queueDepth(): Promise<number>;

  writeWorkers(workers: WorkerRecord[]): Promise<void>;
  forgetWorkers(names: string[]): Promise<void>;
  readWorkers(): Promise<WorkerRecord[]>;
  writeDispatcher(dispatcher: DispatcherRecord): Promise<void>;
  forgetDispatchers(ids: string[]): Promise<void>;
  readDispatchers(): Promise<DispatcherRecord[]>;

  /** Removes from the lists what has expired: one bounded part of the work, to be called now and then. */
  sweep(): Promise<void>;
  /** Resolves when the store answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** States a stored task can be in; the machine in `actors/lifecycles/taskMachine.ts` has the same, and `new` before the first. */
export const TASK_STATES = [
  'blocked',
  'delayed',
  'queued',
  'running',
  'retrying',
  'completed',
  'failed',
  'cancelled',
] as const;
export type TaskState = (typeof TASK_STATES)[number];
export type TerminalState = 'completed' | 'failed' | 'cancelled';

export const isTerminal = (state: TaskState): state is TerminalState =>
  state === 'completed' || state === 'failed' || state === 'cancelled';

export interface FunctionRegistration {
  name: string;
  payload: Buffer;
  /** Added to what is known when the same bytes were registered before. */
  origin?: FunctionOrigin;
  /** Absent: `default`. The same bytes are another function for each tenant. */
  tenant?: string;
}

export interface FunctionRecord {
  functionId: string;
  name: string;
  payloadBytes: number;
  registeredAtMs: number;
  origin?: OriginSummary;
}

export type SubmitVerdict = 'accepted' | 'existing' | 'refused' | 'tooMany' | 'tooLarge';

/** What of a request is not in the store yet. */
export interface RequestRest {
  readonly unwritten: number;
  readonly unwrittenBytes: number;
}

export interface NewTask {
  /** Minted by the caller before the first try, so that a repeat finds the task there. */
  taskId: string;
  functionId: string;
  arguments: Buffer;
  priority: Priority;
  maxAttempts: number;
  /** 0 for none. */
  timeoutMs: number;
  /** 0 for at once. */
  delayMs: number;
  /** Which workers can run it, see `requirement.ts`; absent for any. */
  requirement?: string;
  isolation?: Isolation;
  /** Absent: an exception is the answer. */
  retry?: RetryPolicy;
  /** How long the task is kept when it has ended; absent: as long as the store keeps all. */
  resultTtlSeconds?: number;
  /** Ids of the tasks that must have completed before; never empty. */
  dependsOn?: string[];
  /** W3C `traceparent` of the span that its spans belong under; absent when it is not traced. */
  trace?: string;
  /** Whose it is; absent: of `default`. */
  tenant?: string;
  /** The process that waits for its end, see `RedisTaskStore.hearEnds`; absent when nobody does yet. */
  reader?: string;
  /** With which it came, where its tenant may have limits: it is taken whole. */
  request?: RequestRest;
}

/** A task that waits for another one. */
export interface Dependency {
  taskId: string;
  dependency: string;
}

export interface DependencyEnd extends Dependency {
  /** Undefined when it is not there any more. */
  state: TerminalState | undefined;
}

export type Resolution = { to: 'queued' | 'delayed' } | { to: 'failed'; dependents: string[] };

export interface ClaimedTask extends TaskRef {
  functionId: string;
  arguments: Buffer;
  attempt: number;
  timeoutMs: number;
  isolation?: Isolation;
  /** Absent when any worker can run it. */
  requirement?: string;
  /** Index of the offer it was claimed for; absent for the first one. */
  offer?: number;
  dependsOn?: string[];
  /** Since it was submitted, ms; absent when it was delayed, or depended on others. */
  waitedMs?: number;
  /** As it was submitted with. */
  trace?: string;
  /** Read from the store when it is given to a worker. */
  inputs?: TaskInput[];
}

export interface Claim {
  claimed: ClaimedTask[];
  /** Delayed and retrying tasks that have become queued in the same step. */
  promoted: { taskId: string; from: 'delayed' | 'retrying' }[];
  /** The claim stands for what it has not got, under its `standingNonce`s. */
  stands?: boolean;
  /** The claimant's earlier claim that stood until this one, by the `standingNonce` under which it would have got something. */
  stood?: string;
  /** It ended among entries of cancelled tasks, of which one step drops a bounded number: there may be more behind them. */
  isCut?: boolean;
  /** A tenant has tasks waiting beyond what it may run: they can be claimed when the end of another one of its tasks is recorded. */
  holdsBack?: boolean;
}

/** Who has claims that stand. */
export interface HandOverHearer {
  /** What a claim has got that stood under this nonce, in order, perhaps before its own answer; `standsOn` under its next `standingNonce`. */
  handedOver(nonce: string, claim: Claim, standsOn: boolean): void;
  /** What was handed over lately may not have arrived. */
  cutOff(): void;
}

export interface Settlement extends TaskRef {
  /** An exception that the task's retry policy covers leads to `retrying`: the store knows the policy, whoever settles. */
  event: 'task.succeeded' | 'task.raised' | 'task.interrupted';
  /** When it was submitted, by the monotonic clock of who settles, ms; absent when that is not known. */
  submittedAtMs?: number | undefined;
  payload: Buffer;
  failure?: Failure;
  /** For `task.interrupted` by a dispatcher's own verdict that the worker is lost: stale when another one has adopted the attempt. */
  lostBy?: string;
  worker: string;
  /** For what is counted by function; absent where it is not known, or the attempt did not run. */
  functionId?: string | undefined;
  startedAtMs: number;
  runTimeUs: number;
  peakMemoryKib: number;
  output: Buffer;
  outputTruncated: boolean;
}

/**
 * - a state: the transition was made, the task is now in it
 * - `duplicate`: this very attempt was settled before; the first settlement stands
 * - `stale`: the attempt lost its lease; the result is refused
 */
export type SettleVerdict = TaskState | 'duplicate' | 'stale' | AwaitedEnd;

/** The task has ended, and these wait for it: whoever is told resolves them, `DependencyResolver`. */
export interface AwaitedEnd {
  state: 'completed' | 'failed';
  dependents: string[];
}

export type CancelVerdict =
  | { cancelled: true; from: TaskState; fence: string; dependents?: string[] }
  | { cancelled: false; reason: 'terminal'; state: TerminalState }
  | { cancelled: false; reason: 'unknown' };

export interface Reaped {
  /** Leases are not enforced now, because less than one lease ago nobody could be sure to renew them. */
  paused: boolean;
  tasks: { taskId: string; to: 'queued' | 'failed'; attempt: number; failure?: Failure; dependents?: string[] }[];
}

export interface TaskOutcome {
  taskId: string;
  state: TaskState;
  /** Pickled value or exception; empty where the platform made the failure, see `failure`. */
  payload: Buffer;
  failure?: Failure;
}

/** One line of a task's story. */
export interface TransitionRecord {
  atMs: number;
  event: string;
  to: TaskState;
  /** What explains it: worker, attempt, signal. */
  detail?: string;
}

export interface TaskRecord extends TaskOutcome {
  functionId: string;
  priority: Priority;
  attempt: number;
  maxAttempts: number;
  timeoutMs: number;
  /** Attempts so far that were followed by another one because of `retry`; they do not count for `maxAttempts`. */
  retries: number;
  retry?: RetryPolicy;
  isolation?: Isolation;
  resultTtlSeconds?: number;
  dependsOn?: string[];
  worker?: string;
  queuedAtMs: number;
  claimedAtMs?: number;
  startedAtMs?: number;
  finishedAtMs?: number;
  /** When a delayed or retrying task becomes due. */
  dueAtMs?: number;
  /** Which workers can run it; absent for any. */
  requirement?: string;
  /** Absent: `default`. */
  tenant?: string;
  runTimeUs?: number;
  peakMemoryKib?: number;
  /** Id of the task under which it was run again. */
  runAgainAs?: string;
  outputTruncated: boolean;
  history: TransitionRecord[];
}
