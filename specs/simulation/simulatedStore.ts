import type { FunctionRuns } from '../../bus/functionRuns.js';
import type { TaskRef } from '../../bus/messages.js';
import type {
  CancelVerdict,
  Claim,
  Dependency,
  DependencyEnd,
  DispatcherRecord,
  HandOverHearer,
  FunctionRecord,
  FunctionRegistration,
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
  WorkerRecord,
} from '../../bus/taskStore.js';
import type { Ledger } from './ledger.js';
import type { MemoryTaskStore } from './memoryTaskStore.js';
import type { StoreServer } from './storeServer.js';
import type { Timeline } from './timeline.js';
import type { Trace } from './trace.js';
import type { SimulatedProcess } from './virtualClock.js';

/** As `COMMAND_TIMEOUT_MS` of the real connection. */
const CALL_TIMEOUT_MS = 5_000;
const REFUSED_AFTER_MS = 1;
const LATE_BY_MS = 3_000;

export interface SimulatedStoreDeps {
  /** The data, reached at once. */
  store: TaskStore & Pick<MemoryTaskStore, 'standBy'>;
  server: StoreServer;
  timeline: Timeline;
  ledger: Ledger;
  trace: Trace;
}

/**
 * One process's connection to the store: calls and answers travel in order, take time, fail before or after they have happened,
 * or happen after they have failed. What a process has sent may happen though it is dead by then.
 */
export class SimulatedStore implements TaskStore {
  private sentUntilMs = 0;
  private answeredUntilMs = 0;
  /** It is a monitor's. */
  private hasSwept = false;

  constructor(
    private readonly owner: SimulatedProcess,
    private readonly deps: SimulatedStoreDeps,
  ) {}

  async submit(tasks: NewTask[], onHandedOver?: (count: number) => void): Promise<SubmitVerdict[]> {
    let handedOver = 0;
    const verdicts = await this.call('submit', (store) => store.submit(tasks, (count) => (handedOver += count)));
    onHandedOver?.(handedOver);
    return verdicts;
  }

  claim(...claim: Parameters<TaskStore['claim']>): Promise<Claim> {
    return this.call('claim', (store) => store.claim(...claim));
  }

  withdraw(claimant: string): Promise<string | undefined> {
    return this.call('withdraw', (store) => store.withdraw(claimant));
  }

  /** What is handed over comes on a connection of its own; what is lost there is lost with it, which is noticed, or not for a long time. */
  standBy(claimant: string, hearer: HandOverHearer): void {
    const { server, timeline, store, ledger } = this.deps;
    const later = (act: () => void): unknown => timeline.schedule(server.delayMs(), act, this.owner);
    const handedOver: HandOverHearer['handedOver'] = (...handed) => {
      const fate = server.fate();
      if (fate === 'done') {
        ledger.totals.handOvers.made++;
        later(() => hearer.handedOver(...handed));
      } else {
        ledger.totals.handOvers.lost++;
        this.tell('handOver', 'lost');
        if (fate !== 'late') later(() => hearer.cutOff());
      }
    };
    const cutOff = (): void => hearer.cutOff();
    store.standBy(claimant, { handedOver, cutOff }, () => this.owner.alive && server.state === 'up');
  }

  findClaims(nonces: string[]): Promise<TaskRef[]> {
    return this.call('findClaims', (store) => store.findClaims(nonces));
  }

  renew(attempts: (TaskRef & { worker: string })[], adopter?: string): Promise<boolean[]> {
    if (attempts.length === 0) return Promise.resolve([]);
    return this.call('renew', (store) => store.renew(attempts, adopter));
  }

  settle(settlements: Settlement[]): Promise<SettleVerdict[]> {
    return this.call('settle', async (store) => {
      const holders = this.deps.ledger.holders(settlements);
      const verdicts = await store.settle(settlements);
      this.deps.ledger.onSettled(settlements, holders, verdicts);
      return verdicts;
    });
  }

  release(attempts: TaskRef[]): Promise<boolean[]> {
    return this.call('release', (store) => store.release(attempts));
  }

  keepOutput(printed: TaskRef & { output: Buffer }): Promise<boolean> {
    return this.call('keepOutput', (store) => store.keepOutput(printed));
  }

  cancel(taskIds: string[]): Promise<CancelVerdict[]> {
    return this.call('cancel', (store) => store.cancel(taskIds));
  }

  awaitDependencies(waits: Dependency[]): Promise<(TaskState | undefined)[]> {
    return this.call('awaitDependencies', (store) => store.awaitDependencies(waits));
  }

  resolveDependencies(ends: DependencyEnd[]): Promise<(Resolution | undefined)[]> {
    return this.call('resolveDependencies', async (store) => {
      const resolutions = await store.resolveDependencies(ends);
      if (this.hasSwept) this.deps.ledger.totals.foundBySweep += resolutions.filter(Boolean).length;
      return resolutions;
    });
  }

  findBlocked(): Promise<Dependency[]> {
    this.hasSwept = true;
    return this.call('findBlocked', (store) => store.findBlocked());
  }

  reap(): Promise<Reaped> {
    return this.call('reap', async (store) => {
      const reaped = await store.reap();
      this.deps.ledger.totals.reaped += reaped.tasks.length;
      return reaped;
    });
  }

  registerFunction(registration: FunctionRegistration): Promise<{ functionId: string; created: boolean }> {
    return this.call('registerFunction', (store) => store.registerFunction(registration));
  }

  readFunction(functionId: string): Promise<FunctionRecord | undefined> {
    return this.call('readFunction', (store) => store.readFunction(functionId));
  }

  addFunctionRuns(counted: ReadonlyMap<string, FunctionRuns>): Promise<void> {
    return this.call('addFunctionRuns', (store) => store.addFunctionRuns(counted));
  }

  readFunctionRuns(functionIds: readonly string[]): Promise<FunctionRuns[]> {
    return this.call('readFunctionRuns', (store) => store.readFunctionRuns(functionIds));
  }

  pythonsNeeded(functionIds: string[]): Promise<(string | undefined)[]> {
    return this.call('pythonsNeeded', (store) => store.pythonsNeeded(functionIds));
  }

  loadFunctions(functionIds: string[]): Promise<(Buffer | undefined)[]> {
    return this.call('loadFunctions', (store) => store.loadFunctions(functionIds));
  }

  readStatuses(taskIds: string[]): Promise<(TaskState | undefined)[]> {
    return this.call('readStatuses', (store) => store.readStatuses(taskIds));
  }

  readOutcomes(taskIds: string[]): Promise<(TaskOutcome | undefined)[]> {
    return this.call('readOutcomes', (store) => store.readOutcomes(taskIds));
  }

  readTask(taskId: string): Promise<TaskRecord | undefined> {
    return this.call('readTask', (store) => store.readTask(taskId));
  }

  readOutput(taskId: string): Promise<Buffer | undefined> {
    return this.call('readOutput', (store) => store.readOutput(taskId));
  }

  nextDueMs(): Promise<number | undefined> {
    return this.call('nextDueMs', (store) => store.nextDueMs());
  }

  queueDepth(): Promise<number> {
    return this.call('queueDepth', (store) => store.queueDepth());
  }

  writeWorkers(workers: WorkerRecord[]): Promise<void> {
    return this.call('writeWorkers', (store) => store.writeWorkers(workers));
  }

  forgetWorkers(names: string[]): Promise<void> {
    return this.call('forgetWorkers', (store) => store.forgetWorkers(names));
  }

  readWorkers(): Promise<WorkerRecord[]> {
    return this.call('readWorkers', (store) => store.readWorkers());
  }

  writeDispatcher(dispatcher: DispatcherRecord): Promise<void> {
    return this.call('writeDispatcher', (store) => store.writeDispatcher(dispatcher));
  }

  forgetDispatchers(ids: string[]): Promise<void> {
    return this.call('forgetDispatchers', (store) => store.forgetDispatchers(ids));
  }

  readDispatchers(): Promise<DispatcherRecord[]> {
    return this.call('readDispatchers', (store) => store.readDispatchers());
  }

  sweep(): Promise<void> {
    return this.call('sweep', (store) => store.sweep());
  }

  ping(): Promise<void> {
    return this.call('ping', (store) => store.ping());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private call<T>(name: string, step: (store: TaskStore) => Promise<T>): Promise<T> {
    const { server, timeline, store } = this.deps;
    return new Promise((resolve, reject) => {
      const timeout = timeline.schedule(CALL_TIMEOUT_MS, fail, this.owner);
      let answered = false;
      const conclude = (give: () => void): void => {
        if (answered) return;
        answered = true;
        timeout.cancelled = true;
        give();
      };
      const { tell } = this;
      function fail(): void {
        conclude(() => {
          tell(name, 'failed');
          reject(server.unavailable(name));
        });
      }
      if (server.state === 'refusing') {
        this.answerIn(REFUSED_AFTER_MS, fail);
        return;
      }
      const fate = server.fate();
      const run = (): void => {
        if (fate !== 'done') this.tell(name, fate);
        void step(store).then((value) => {
          if (fate === 'lostAfter') this.answerIn(server.delayMs(), fail);
          else if (fate === 'done') this.answerIn(server.delayMs(), () => conclude(() => resolve(value)));
        });
      };
      const arrive = (): void => {
        if (fate === 'lostBefore' || fate === 'late') this.answerIn(0, fail);
        if (fate === 'late') timeline.schedule(LATE_BY_MS, () => server.accept(run, () => undefined));
        else if (fate !== 'lostBefore') server.accept(run, () => this.answerIn(0, fail));
      };
      this.sentUntilMs = Math.max(this.sentUntilMs, timeline.nowMs + server.delayMs());
      timeline.schedule(this.sentUntilMs - timeline.nowMs, arrive);
    });
  }

  /** Answers come in order, and only to the living. */
  private answerIn(delayMs: number, give: () => void): void {
    const { timeline } = this.deps;
    this.answeredUntilMs = Math.max(this.answeredUntilMs, timeline.nowMs + delayMs);
    timeline.schedule(this.answeredUntilMs - timeline.nowMs, give, this.owner);
  }

  private readonly tell = (name: string, what: string): void => {
    this.deps.trace.add(`${this.owner.name} store.${name} ${what}`);
  };
}
