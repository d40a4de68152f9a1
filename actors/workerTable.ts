import type { Address, Bus } from '../bus/bus.js';
import type { DispatcherMessage, TaskRef, WorkerHello, WorkerMessage } from '../bus/messages.js';
import type { TaskStore } from '../bus/taskStore.js';
import type { TransitionLog } from '../bus/transitionLog.js';
import type { Clock } from './clock.js';
import type { WorkerState, WorkerTimings } from './lifecycles/workerMachine.js';
import { OwnPulse } from './ownPulse.js';
import { type InFlight, WorkerConnection } from './workerConnection.js';

export interface WorkerTableOptions {
  dispatcherId: string;
  heartbeatMs: number;
  timings: WorkerTimings;
}

export interface WorkerTableDeps {
  store: Pick<TaskStore, 'renew' | 'forgetWorkers'>;
  workers: Bus<WorkerMessage, DispatcherMessage>;
  clock: Clock;
  transition: TransitionLog;
  onError: (error: unknown) => void;
  /** Where a worker can go when this dispatcher falls silent. */
  dispatchers: () => string[];
  onJoined: () => void;
  /** The worker is lost, and with it what it had. */
  onLost: (worker: WorkerConnection, tasks: InFlight[]) => void;
  /** The worker never got these, or has forgotten them: they have not started. */
  onNotHeld: (worker: WorkerConnection, tasks: InFlight[]) => void;
  /** The worker holds attempts that are no longer its own: it must forget them, and their results. */
  onRefused?: (counts: { stale: number; duplicate: number }) => void;
}

/** Workers that have left are told from new ones for long enough: no hello is delayed past so many leavers. */
const MAX_LEFT_KNOWN = 1_000;

/** More than that many workers, new in one outage, are not told to give back. */
const MAX_UNANSWERED = 1_000;

/** The workers of one dispatcher: who they are, how they join, how they are lost. */
export class WorkerTable {
  private readonly byInstance = new Map<string, WorkerConnection>();
  private readonly byCurrentAddress = new Map<Address, WorkerConnection>();
  private readonly byUniqueName = new Map<string, WorkerConnection>();
  /** Instances that said goodbye: a hello of theirs that comes later was delayed on an earlier connection. */
  private readonly left = new Set<string>();
  /** Hellos that the store has not answered yet, or could not: who says that it holds how much, and where it is to be reached. */
  private readonly unanswered = new Map<string, { address: Address; holding: number }>();
  private readonly pulse: OwnPulse;

  constructor(
    private readonly options: WorkerTableOptions,
    private readonly deps: WorkerTableDeps,
  ) {
    this.pulse = new OwnPulse(options.heartbeatMs, deps.clock);
  }

  /** Every heartbeat. */
  beat(): void {
    // Each is given as much time again to be heard of.
    if (this.pulse.isOverdue) for (const worker of this.byInstance.values()) worker.forgiveSilence();
    this.pulse.beat();
  }

  /** What has not started comes back from the workers. */
  takeAllBack(): void {
    for (const { address, inFlight } of this.byInstance.values()) {
      this.deps.workers.send(address, { type: 'takeBack', limit: inFlight });
    }
    for (const { address, holding } of this.unanswered.values()) {
      this.deps.workers.send(address, { type: 'takeBack', limit: holding });
    }
  }

  all(): Iterable<WorkerConnection> {
    return this.byInstance.values();
  }

  *available(): Iterable<WorkerConnection> {
    for (const worker of this.byInstance.values()) if (worker.available) yield worker;
  }

  byAddress(address: Address): WorkerConnection | undefined {
    return this.byCurrentAddress.get(address);
  }

  /** The worker that a message is from, also when it speaks over a new connection, or waits for the store to let it join. */
  sender(message: WorkerMessage, from: Address): WorkerConnection | undefined {
    return message.type === 'hello' ? this.byInstance.get(message.instance) : this.byCurrentAddress.get(from);
  }

  byName(name: string): WorkerConnection | undefined {
    return this.byUniqueName.get(name);
  }

  inFlightCount(): number {
    let count = 0;
    for (const worker of this.byInstance.values()) count += worker.inFlight;
    return count;
  }

  tell(name: string, message: DispatcherMessage): void {
    const worker = this.byUniqueName.get(name);
    if (worker) this.deps.workers.send(worker.address, message);
  }

  /**
   * A worker says what it is and what it holds: a new one, one that comes over from another dispatcher, or a known one whose
   * connection or orders got lost. What it holds and Redis still grants it is adopted: nothing is run again for a change of
   * dispatcher. What Redis refuses it must stop. What it was sent and does not hold is given back to the queue.
   *
   * Rejects when the store cannot be reached; nothing has changed then, and the worker says hello again.
   */
  async join(hello: WorkerHello, address: Address): Promise<void> {
    const known = this.byInstance.get(hello.instance);
    if (known && hello.connection < known.connection) return;
    // On a secured wire a name is proven, an instance is not: nobody comes in another one's place.
    if (known && known.hello.name !== hello.name) return;
    // Over the same connection it cannot have been with another dispatcher meanwhile: what is known of it stands.
    const sameConnection = known?.connection === hello.connection;
    const asked = hello.holding.filter(({ taskId, fence }) => {
      return !(sameConnection && known.inFlightTasks.get(taskId)?.fence === fence);
    });
    this.noteUnanswered(hello, address);
    const granted = await this.deps.store.renew(
      asked.map((ref) => ({ ...ref, worker: known?.name ?? plainName(hello) })),
      this.options.dispatcherId,
    );
    this.unanswered.delete(hello.instance);

    const present = this.byInstance.get(hello.instance);
    // It was lost meanwhile, and what was known of it has been taken away: now all it holds has to be asked for.
    if (known && present !== known) return this.join(hello, address);
    // While this dispatcher was stopped, or the store slow, the worker has given this connection up for another one.
    if (present && hello.connection < present.connection) return;

    if (this.left.has(hello.instance)) return;
    // Only now: another worker of the same name may have joined meanwhile.
    const worker = present ?? this.add(hello, this.uniqueName(hello), address);
    const reconnected = worker.address !== address;
    if (reconnected) {
      this.byCurrentAddress.delete(worker.address);
      worker.rebind(address, hello);
    }
    this.byCurrentAddress.set(address, worker);
    const rejected = this.adopt(worker, asked, granted);
    if (rejected.length > 0) this.deps.onRefused?.({ stale: rejected.length, duplicate: 0 });
    this.dropNotHeld(worker, hello, reconnected);
    worker.heard();
    worker.send({ type: 'worker.joined' });
    this.deps.workers.send(address, {
      type: 'welcome',
      dispatcher: this.options.dispatcherId,
      heartbeatMs: this.options.heartbeatMs,
      rejected,
      dispatchers: this.deps.dispatchers(),
      lastRun: hello.lastRun,
    });
    this.deps.onJoined();
  }

  /** It said goodbye. Returns what it still had, which should be nothing. */
  leave(worker: WorkerConnection): InFlight[] {
    this.left.add(worker.hello.instance);
    if (this.left.size > MAX_LEFT_KNOWN)
      for (const oldest of [...this.left].slice(0, MAX_LEFT_KNOWN / 2)) this.left.delete(oldest);
    const tasks = this.forget(worker);
    worker.send({ type: 'worker.left' });
    void this.deps.store.forgetWorkers([worker.name]).catch(this.deps.onError);
    return tasks;
  }

  /** Somebody says that a worker is lost: believed only when it has been silent here as well. */
  reportedLost(name: string): void {
    const worker = this.byUniqueName.get(name);
    if (!worker || this.pulse.isOverdue) return;
    const silentMs = this.deps.clock.now() - worker.lastHeardAtMs;
    if (silentMs >= this.options.timings.suspectAfterMs) worker.send({ type: 'worker.lost' });
  }

  /** Whoever speaks from these addresses is not to be heard any more: what it had is run elsewhere, at once. */
  expel(addresses: readonly Address[]): void {
    for (const address of addresses) this.byCurrentAddress.get(address)?.send({ type: 'worker.lost' });
  }

  stop(): void {
    for (const worker of this.byInstance.values()) worker.stop();
  }

  private add(hello: WorkerHello, name: string, address: Address): WorkerConnection {
    const worker: WorkerConnection = new WorkerConnection(hello, name, address, this.deps.clock, {
      transition: this.deps.transition,
      timings: this.options.timings,
      onState: (state) => {
        this.onState(worker, state);
      },
    });
    this.byInstance.set(hello.instance, worker);
    this.byUniqueName.set(name, worker);
    return worker;
  }

  private onState(worker: WorkerConnection, state: WorkerState): void {
    if (state === 'lost') this.deps.onLost(worker, this.forget(worker));
  }

  private forget(worker: WorkerConnection): InFlight[] {
    this.byInstance.delete(worker.hello.instance);
    this.byUniqueName.delete(worker.name);
    this.byCurrentAddress.delete(worker.address);
    const tasks = [...worker.inFlightTasks.values()];
    worker.inFlightTasks.clear();
    worker.inFlightBytes = 0;
    return tasks;
  }

  private adopt(worker: WorkerConnection, refs: TaskRef[], granted: boolean[]): TaskRef[] {
    const now = this.deps.clock.now();
    refs.forEach((ref, index) => {
      if (!granted[index]) {
        worker.remove(ref);
        return;
      }
      if (worker.inFlightTasks.get(ref.taskId)?.fence === ref.fence) return;
      const attempt = Number.parseInt(ref.fence, 10);
      const unknown = { functionId: '', bytes: 0, requirement: undefined };
      worker.add({ ...ref, ...unknown, attempt, sequence: 0, sentAtMs: now, renewedAtMs: now });
    });
    return refs.filter((_, index) => !granted[index]);
  }

  /** Orders sent over a connection that is gone are lost; over the present one they may still be on their way. */
  private dropNotHeld(worker: WorkerConnection, hello: WorkerHello, reconnected: boolean): void {
    const held = new Set(hello.holding.map(({ taskId, fence }) => `${taskId} ${fence}`));
    const lost = [...worker.inFlightTasks.values()].filter(({ taskId, fence, sequence }) => {
      if (held.has(`${taskId} ${fence}`)) return false;
      return reconnected || sequence <= hello.lastRun;
    });
    for (const task of lost) worker.remove(task);
    if (lost.length > 0) this.deps.onNotHeld(worker, lost);
  }

  private noteUnanswered({ instance, holding }: WorkerHello, address: Address): void {
    this.unanswered.delete(instance); // The latest is the last one, and the oldest goes first.
    this.unanswered.set(instance, { address, holding: holding.length });
    const [oldest] = this.unanswered.keys();
    if (this.unanswered.size > MAX_UNANSWERED && oldest !== undefined) this.unanswered.delete(oldest);
  }

  private uniqueName(hello: WorkerHello): string {
    const name = plainName(hello);
    return this.byUniqueName.has(name) ? `${name}-${hello.instance.slice(0, 8)}` : name;
  }
}

const MAX_NAME_LENGTH = 100;

/** A worker's name goes into logs and into the stories of tasks, line by line: it must not bring lines of its own. */
function plainName({ name }: WorkerHello): string {
  return name.replace(/[^\x21-\x7e]+/g, '_').slice(0, MAX_NAME_LENGTH) || 'worker';
}
