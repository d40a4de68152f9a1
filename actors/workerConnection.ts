import type { Actor } from 'xstate';
import type { Address } from '../bus/bus.js';
import type { TaskRef, WorkerHello, WorkerMessage, WorkerUsage } from '../bus/messages.js';
import type { WorkerRecord } from '../bus/taskStore.js';
import { type Capabilities, pythonOf, requirementOf } from '../bus/requirement.js';
import type { TransitionLog } from '../bus/transitionLog.js';
import type { AttemptTrace } from './attemptTrace.js';
import type { Clock } from './clock.js';
import { runMachine } from './lifecycles/runMachine.js';
import { type WorkerEvent, workerMachine, type WorkerState, type WorkerTimings } from './lifecycles/workerMachine.js';
import type { Candidate } from './placement.js';

/** Signs of life reach a worker's machine so many times before it would be suspected; each sets its timers anew. */
const BEATS_BEFORE_SUSPECT = 25;
/** A worker that gets its next task so soon stays busy: two transitions for each task would cost more than the task. */
const SHOW_IDLE_AFTER_MS = 10;

/** One attempt that a worker has. */
export interface InFlight extends TaskRef {
  functionId: string;
  /** Of its arguments; 0 when it was adopted. */
  bytes: number;
  attempt: number;
  /** '' when any worker can run it, undefined when that is not known: it was adopted. */
  requirement: string | undefined;
  /** `run.sequence` it was sent with; 0 when it was adopted. */
  sequence: number;
  sentAtMs: number;
  /** Monotonic; when the task was submitted; undefined where that is not known. */
  submittedAtMs?: number | undefined;
  /** Absent when the task is not traced. */
  trace?: AttemptTrace | undefined;
  /** Monotonic; when its lease was last written. */
  renewedAtMs: number;
}

/** An order that a worker has not confirmed for so long was lost on the way. */
const ORDER_LOST_MS = 3_000;
/** Functions that a worker's record names, of all it has. */
const MAX_WARM_TOLD = 20;
/** What it is to stop may be on its way for so many heartbeats. */
const MAX_BEATS_WITH_MORE = 2;

export type WorkerHeartbeat = Extract<WorkerMessage, { type: 'heartbeat' }>;

/**
 * A connected worker as the dispatcher knows it: what it has, what it knows, and its running lifecycle machine. Only `send` on
 * the machine changes its state; `onState` hears of it.
 */
export class WorkerConnection implements Candidate {
  readonly inFlightTasks = new Map<string, InFlight>();
  /** Arguments of those, together. */
  inFlightBytes = 0;
  /**
   * Sequence of the last `run` sent over the present address. Counted on from what the worker says it has seen, perhaps from a
   * dispatcher before this one, so that a hello that was under way at the time cannot pass for news of later orders.
   */
  runSequence: number;
  lastRunSentAtMs = 0;
  /** Of its process, as the last heartbeat said; undefined where it is in that of its dispatcher. */
  usage: WorkerUsage | undefined;
  readonly capabilities: Capabilities;
  /** The same for workers that can run the same tasks. */
  readonly kind: string;
  /** `hello.connection` of the present address. */
  connection: number;
  lastHeardAtMs: number;
  private readonly beatEveryMs: number;
  private lastBeatAtMs = -Infinity;
  /** Heartbeats in a row in which it said to have more tasks than it was given. */
  private beatsWithMore = 0;
  /** Takes part in placement: reconciled, not draining, not suspect. */
  private acceptsWork = false;
  private showing = false;
  private idleTimer: unknown;
  private shownWork = false;
  /** Tasks so far. */
  private given = 0;
  private stopped = false;
  private readonly functions = new Set<string>();
  private readonly machine: Actor<typeof workerMachine>;
  private readonly joinedAtMs: number;

  constructor(
    readonly hello: WorkerHello,
    /** Unique among the workers of this dispatcher. */
    readonly name: string,
    public address: Address,
    private readonly clock: Clock,
    options: { transition: TransitionLog; timings: WorkerTimings; onState: (state: WorkerState) => void },
  ) {
    this.capabilities = {
      labels: hello.labels,
      python: pythonOf(hello.pythonImplementation, hello.pythonVersion),
    };
    this.kind = requirementOf(this.capabilities);
    this.beatEveryMs = options.timings.suspectAfterMs / BEATS_BEFORE_SUSPECT;
    this.connection = hello.connection;
    this.runSequence = hello.lastRun;
    this.lastHeardAtMs = clock.now();
    this.joinedAtMs = clock.wallMs();
    for (const functionId of hello.functions) this.functions.add(functionId);
    this.machine = runMachine(
      workerMachine,
      {
        machine: 'worker',
        id: name,
        transition: options.transition,
        clock,
        details: () => ({ inFlight: this.inFlight }),
      },
      options.timings,
    );
    this.machine.subscribe((snapshot) => {
      this.acceptsWork = snapshot.value === 'ready' || snapshot.value === 'busy';
      options.onState(snapshot.value);
    });
  }

  get slots(): number {
    return this.hello.slots;
  }

  get inFlight(): number {
    return this.inFlightTasks.size;
  }

  get state(): WorkerState {
    return this.machine.getSnapshot().value;
  }

  get available(): boolean {
    return this.acceptsWork;
  }

  send(event: WorkerEvent): void {
    this.machine.send(event);
  }

  hasFunction(functionId: string): boolean {
    return this.functions.has(functionId);
  }

  learnFunctions(functionIds: Iterable<string>): void {
    for (const functionId of functionIds) this.functions.add(functionId);
  }

  /** The same process speaks over a new connection. */
  rebind(address: Address, hello: WorkerHello): void {
    this.address = address;
    this.connection = hello.connection;
    this.runSequence = hello.lastRun;
    this.functions.clear();
    this.learnFunctions(hello.functions);
  }

  heard(): void {
    const now = this.clock.now();
    this.lastHeardAtMs = now;
    // Under load a worker is heard thousands of times a second; its timers need not be set anew each time.
    if (this.acceptsWork && now - this.lastBeatAtMs < this.beatEveryMs) return;
    this.lastBeatAtMs = now;
    this.machine.send({ type: 'worker.beat', hasWork: this.inFlight > 0 });
  }

  /** The observer could not have heard it. Its machine's own timers give it another interval, since they fall due one by one. */
  forgiveSilence(): void {
    this.lastHeardAtMs = this.clock.now();
  }

  /** Notes what a heartbeat says; true when orders did not arrive, or words to stop something: it must be asked what it holds. */
  missesMessages({ lastRun, running, queued, usage }: WorkerHeartbeat): boolean {
    this.usage = usage;
    this.beatsWithMore = running + queued > this.inFlight ? this.beatsWithMore + 1 : 0;
    const ordersLost = lastRun < this.runSequence && this.clock.now() - this.lastRunSentAtMs > ORDER_LOST_MS;
    return ordersLost || this.beatsWithMore > MAX_BEATS_WITH_MORE;
  }

  add(task: InFlight): void {
    this.inFlightBytes += task.bytes - (this.inFlightTasks.get(task.taskId)?.bytes ?? 0);
    this.inFlightTasks.set(task.taskId, task);
    this.given++;
    this.showWork();
  }

  /** Forgets the attempt; undefined when the worker does not have this very attempt. */
  remove(ref: TaskRef): InFlight | undefined {
    const task = this.inFlightTasks.get(ref.taskId);
    if (task?.fence !== ref.fence) return undefined;
    this.inFlightTasks.delete(ref.taskId);
    this.inFlightBytes -= task.bytes;
    this.showWork();
    return task;
  }

  /** Tells the machine whether there is work: of new work when its message is on its way, of none when it lasts. */
  private showWork(): void {
    if (this.showing || this.inFlight > 0 === this.shownWork) return;
    this.showing = true;
    const { given } = this;
    const show = (): void => {
      this.showing = false;
      if (this.stopped || this.inFlight > 0 === this.shownWork) return;
      // It was given something meanwhile, and has done it: idle for less than that.
      if (this.shownWork && this.given > given) {
        this.showWork();
        return;
      }
      this.shownWork = !this.shownWork;
      this.machine.send({ type: this.shownWork ? 'worker.assigned' : 'worker.idled' });
    };
    if (this.shownWork) this.idleTimer = this.clock.setTimeout(show, SHOW_IDLE_AFTER_MS);
    else queueMicrotask(show);
  }

  record(dispatcher: string, mode: WorkerRecord['mode']): WorkerRecord {
    const { slots, pid, pythonVersion, pythonImplementation, dillVersion, labels, sandbox } = this.hello;
    return {
      name: this.name,
      state: this.state,
      dispatcher,
      mode,
      slots,
      running: Math.min(slots, this.inFlight),
      queued: Math.max(0, this.inFlight - slots),
      pid,
      pythonVersion,
      pythonImplementation,
      dillVersion,
      labels,
      ...(sandbox !== undefined && { sandbox }),
      joinedAtMs: this.joinedAtMs,
      heartbeatAtMs: this.clock.wallMs() - Math.round(this.clock.now() - this.lastHeardAtMs),
      functions: this.functions.size,
      warm: [...this.functions].slice(-MAX_WARM_TOLD),
    };
  }

  stop(): void {
    this.stopped = true;
    this.clock.clearTimeout(this.idleTimer);
    this.machine.stop();
  }
}
