import { nextTaskState } from '../../actors/lifecycles/taskTransitions.js';
import type { TaskEvent } from '../../actors/lifecycles/taskMachine.js';
import { PlatformError } from '../../bus/errors.js';
import type { TaskOrder } from '../../bus/messages.js';
import { canRun, type Capabilities } from '../../bus/requirement.js';
import { isTerminal, type NewTask, type Settlement, type SettleVerdict, type TaskState } from '../../bus/taskStore.js';
import { type Behaviour, exceptionOf, valueOf } from './behaviour.js';
import { shortId, shortRef } from './describeMessage.js';
import type { StoredTask } from './storedTask.js';
import type { Trace } from './trace.js';

/** What the simulation promises about a run, each checked in the step that could break it. */
export type Invariant =
  | 'accepted is durable'
  | 'every task ends'
  | 'one terminal transition'
  | 'ended is immutable'
  | 'only transitions of the task machine'
  | 'only the holder of the fence settles'
  | 'the recorded value is the function’s'
  | 'at most max_attempts'
  | 'a task starts where it can run'
  | 'a task starts after those it depends on'
  | 'a task is given the values of others'
  | 'what others have blocked goes on in time'
  | 'at most max_retries'
  | 'nothing runs twice without need'
  | 'no attempt is spent without need'
  | 'what was refused is stopped'
  | 'nothing is left behind'
  | 'queues are bounded'
  | 'no unexpected error';

export interface Violation {
  invariant: Invariant;
  detail: string;
}

/** One task as the outside knows it, independent of what the store believes. */
export interface TaskEntry {
  readonly task: NewTask;
  readonly behaviour: Behaviour;
  /** The API has answered 2xx. */
  accepted: boolean;
  cancelRequested: boolean;
  state: TaskState | 'new';
  /** Given by the last claim. */
  fence: string | undefined;
  starts: number;
  /** Starts that ended with an exception that was no answer yet. */
  retries: number;
  /** Starts that took their process with them. */
  crashes: number;
  ended: { state: TaskState; payload: string } | undefined;
}

/** Keeps the books of a run, and notes the first thing that may not be. */
export class Ledger {
  readonly entries = new Map<string, TaskEntry>();
  readonly totals = {
    starts: 0,
    stale: 0,
    duplicate: 0,
    reaped: 0,
    released: 0,
    requeued: 0,
    unblocked: 0,
    dependencyFailed: 0,
    foundBySweep: 0,
    handOvers: { made: 0, lost: 0 },
  };
  violation: Violation | undefined;

  constructor(
    private readonly trace: Trace,
    /** Nothing that happens in this run is a reason to start a task again, unless it crashed its process. */
    private readonly options: { restartsNeedACrash: boolean; attemptsNeedACrash: boolean },
  ) {}

  register(task: NewTask, behaviour: Behaviour): void {
    this.entries.set(task.taskId, {
      task,
      behaviour,
      accepted: false,
      cancelRequested: false,
      state: 'new',
      fence: undefined,
      starts: 0,
      retries: 0,
      crashes: 0,
      ended: undefined,
    });
  }

  violated(invariant: Invariant, detail: string): void {
    if (this.violation) return;
    this.violation = { invariant, detail };
    this.trace.add(`VIOLATED ${invariant}: ${detail}`);
  }

  /** An actor has reported an error. That the store is away is part of the game. */
  onError(who: string, error: unknown): void {
    if (error instanceof PlatformError && error.code === 'STORE_UNAVAILABLE') return;
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.violated('no unexpected error', `${who}: ${words}`);
  }

  accepted(taskIds: string[]): void {
    for (const taskId of taskIds) {
      const entry = this.entryOf(taskId);
      entry.accepted = true;
      if (entry.state === 'new') this.violated('accepted is durable', `${shortId(taskId)} is not in the store`);
    }
  }

  cancelRequested(taskId: string): void {
    this.entryOf(taskId).cancelRequested = true;
  }

  // --- the store

  onTransition(task: StoredTask, from: TaskState | 'new', event: string, to: TaskState): void {
    const entry = this.entryOf(task.taskId);
    this.trace.add(`task ${shortId(task.taskId)} ${from} -> ${to} (${event}) attempt ${task.attempt}`);
    if (entry.ended) {
      this.violated(
        'one terminal transition',
        `${shortId(task.taskId)} was ${entry.ended.state}, now ${event} -> ${to}`,
      );
    }
    if (entry.state !== from) {
      this.violated('only transitions of the task machine', `${shortId(task.taskId)} was ${entry.state}, not ${from}`);
    }
    this.checkMachine(task, from, event, to);
    entry.state = to;
    if (event === 'task.claimed') entry.fence = task.fence;
    if (event === 'task.unblocked') {
      this.totals.unblocked++;
      this.checkDependencies(entry, event);
    }
    if (event === 'task.dependencyFailed') this.totals.dependencyFailed++;
    if (event === 'task.released') this.totals.released++;
    if (event === 'task.interrupted' && to === 'queued') this.totals.requeued++;
    entry.retries = task.retries;
    if (task.retries > (task.retry?.maxRetries ?? 0)) {
      this.violated('at most max_retries', `${shortId(task.taskId)} has been retried ${task.retries} times`);
    }
    if (task.attempt - task.retries > task.maxAttempts) {
      this.violated(
        'at most max_attempts',
        `${shortId(task.taskId)} is at attempt ${task.attempt} of ${task.maxAttempts}, ${task.retries} of them retried`,
      );
    }
    if (this.options.attemptsNeedACrash && task.attempt > 1 + entry.crashes + task.retries) {
      const detail = `${shortId(task.taskId)} is at attempt ${task.attempt}, having crashed ${entry.crashes} times`;
      this.violated('no attempt is spent without need', detail);
    }
    if (isTerminal(to)) this.checkOutcome(entry, task, to);
  }

  /** What the fences of these attempts are worth before the store looks at them; give it to `onSettled` afterwards. */
  holders(settlements: Settlement[]): boolean[] {
    return settlements.map(({ taskId, fence }) => {
      const entry = this.entryOf(taskId);
      return entry.state === 'running' && entry.fence === fence;
    });
  }

  onSettled(settlements: Settlement[], holders: boolean[], verdicts: SettleVerdict[]): void {
    verdicts.forEach((verdict, index) => {
      const settlement = settlements[index] as Settlement;
      if (verdict === 'stale' || verdict === 'duplicate') this.totals[verdict]++;
      else if (!holders[index]) {
        this.violated(
          'only the holder of the fence settles',
          `${shortRef(settlement)} ${settlement.event} was recorded`,
        );
      }
    });
  }

  // --- the workers

  onStarted(order: TaskOrder, worker: string, capabilities: Capabilities): void {
    const entry = this.entryOf(order.taskId);
    const { requirement = '' } = entry.task;
    if (!canRun(capabilities, requirement)) {
      this.violated(
        'a task starts where it can run',
        `${worker} starts ${shortRef(order)}, which needs ${requirement}`,
      );
    }
    this.checkDependencies(entry, `${worker} starts`);
    this.checkInputs(entry, order);
    entry.starts++;
    this.totals.starts++;
    this.trace.add(`${worker} STARTS ${shortRef(order)} (start ${entry.starts})`);
    const allowed = entry.task.maxAttempts + entry.retries;
    if (entry.starts > allowed) {
      this.violated('at most max_attempts', `start ${entry.starts} of ${shortRef(order)}, allowed ${allowed}`);
    }
    if (this.options.restartsNeedACrash && entry.starts > 1 + entry.crashes + entry.retries) {
      const detail = `${shortRef(order)} is start ${entry.starts} of a task that crashed ${entry.crashes} times`;
      this.violated('nothing runs twice without need', detail);
    }
  }

  onCrashed({ taskId }: TaskOrder): void {
    this.entryOf(taskId).crashes++;
  }

  /** Does the attempt hold the fence of a running task? */
  isCurrent(taskId: string, fence: string): boolean {
    const { state, fence: current } = this.entryOf(taskId);
    return state === 'running' && current === fence;
  }

  // --- the end

  get open(): TaskEntry[] {
    return [...this.entries.values()].filter(({ state, ended }) => state !== 'new' && !ended);
  }

  /** Blocked tasks that somebody has to tell of an end: there is nothing more for them to wait for. */
  get untold(): TaskEntry[] {
    return [...this.entries.values()].filter((entry) => {
      if (entry.state !== 'blocked') return false;
      const { dependsOn = [] } = entry.task;
      return this.hasFailedDependency(entry) || dependsOn.every((id) => this.entryOf(id).state === 'completed');
    });
  }

  checkUnchanged(task: StoredTask): void {
    const { ended } = this.entryOf(task.taskId);
    if (ended && (ended.state !== task.state || ended.payload !== payloadOf(task))) {
      this.violated('ended is immutable', `${shortId(task.taskId)} was ${ended.state}, is ${task.state}`);
    }
  }

  private checkMachine(task: StoredTask, from: TaskState | 'new', event: string, to: TaskState): void {
    const attemptsLeft = task.attempt - task.retries < task.maxAttempts;
    const machineEvent = {
      type: event,
      attemptsLeft,
      delayed: to === 'delayed',
      blocked: to === 'blocked',
    } as TaskEvent;
    if (nextTaskState(from, machineEvent) !== to) {
      this.violated('only transitions of the task machine', `${shortId(task.taskId)} ${from} -> ${to} on ${event}`);
    }
  }

  private checkOutcome(entry: TaskEntry, task: StoredTask, to: TaskState): void {
    entry.ended = { state: to, payload: payloadOf(task) };
    const wrong = wrongOutcome(entry, task, to, this.hasFailedDependency(entry));
    if (wrong) this.violated('the recorded value is the function’s', `${shortId(task.taskId)} ${to}: ${wrong}`);
  }

  private checkDependencies({ task }: TaskEntry, what: string): void {
    const unmet = task.dependsOn?.find((id) => this.entryOf(id).state !== 'completed');
    if (unmet === undefined) return;
    const detail = `${what} ${shortId(task.taskId)}, and ${shortId(unmet)} is ${this.entryOf(unmet).state}`;
    this.violated('a task starts after those it depends on', detail);
  }

  private checkInputs({ task, behaviour }: TaskEntry, { inputs }: TaskOrder): void {
    const ids = behaviour.reads ? (task.dependsOn ?? []) : [];
    const wanted = ids.map((id) => `${id} ${valueOf(id).toString()}`);
    const given = (inputs ?? []).map(({ taskId, payload }) => `${taskId} ${payload.toString()}`);
    if (given.join() === wanted.join()) return;
    this.violated('a task is given the values of others', `${shortId(task.taskId)} has got ${given.join(', ')}`);
  }

  private hasFailedDependency({ task: { dependsOn = [] } }: TaskEntry): boolean {
    return dependsOn.some((id) => ['failed', 'cancelled'].includes(this.entryOf(id).state));
  }

  private entryOf(taskId: string): TaskEntry {
    return this.entries.get(taskId) as TaskEntry;
  }
}

const payloadOf = ({ result }: StoredTask): string => result?.toString() ?? '';

/** In which way the task may not have ended so; undefined when it may. */
function wrongOutcome(
  { behaviour, cancelRequested }: TaskEntry,
  task: StoredTask,
  to: TaskState,
  hasFailedDependency: boolean,
): string | undefined {
  const payload = payloadOf(task);
  switch (to) {
    case 'completed':
      if (behaviour.ends !== 'returning') return 'the function does not return';
      return payload === valueOf(task.taskId).toString() ? undefined : `value ${payload}`;
    case 'cancelled':
      return cancelRequested ? undefined : 'nobody asked for it';
    case 'failed':
      if (task.failure?.type === 'DependencyFailed') {
        return hasFailedDependency ? undefined : 'nothing that it depends on has failed';
      }
      return wrongFailure(behaviour, task, payload);
    default:
      return `${to} is no end`;
  }
}

function wrongFailure(
  { ends, runMs, crashes, raises }: Behaviour,
  task: StoredTask,
  payload: string,
): string | undefined {
  const type = task.failure?.type;
  const spent = task.attempt - task.retries >= task.maxAttempts;
  const retriesSpent = task.retries >= (task.retry?.maxRetries ?? 0);
  switch (type) {
    case 'UserException':
      if (!retriesSpent) return `raised after ${task.retries} retries`;
      if (ends !== 'raising' && task.attempt > crashes + raises) return 'it had raised often enough';
      return payload === exceptionOf(task.taskId).toString() ? undefined : `raised ${payload}`;
    case 'Timeout':
      return task.timeoutMs > 0 && (ends === 'never' || runMs > task.timeoutMs) ? undefined : 'it had time';
    case 'ProcessCrashed':
    case 'WorkerFailure':
      return spent ? undefined : `${type} with attempts left`;
    default:
      return `failure ${String(type)}`;
  }
}
