import { randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '../../../actors/clock.js';
import { Dispatcher } from '../../../actors/dispatcher.js';
import { HeartbeatMonitor } from '../../../actors/heartbeatMonitor.js';
import type { WorkerTimings } from '../../../actors/lifecycles/workerMachine.js';
import { WorkerSupervisor } from '../../../actors/workerSupervisor.js';
import { DISPATCHER, type Bus } from '../../../bus/bus.js';
import { CONTROL_TOPICS, type ControlMessage } from '../../../bus/controlMessages.js';
import { MemoryHub } from '../../../bus/memoryBus.js';
import type { DispatcherMessage, WorkerMessage } from '../../../bus/messages.js';
import { ProcessMetrics } from '../../../bus/metrics.js';
import type { NewTask, TaskState, TaskStore } from '../../../bus/taskStore.js';
import { recordTransitions } from '../../lifecycles/support/transitions.js';
import { newTask, StoreFixture } from '../../store/support/storeFixture.js';
import { until } from '../../store/support/until.js';
import { type FakeFunction, FakePool } from './fakePool.js';

/** Short, but not so short that a stall of a busy machine passes for a silence, or ends a lease. */
const HEARTBEAT_MS = 80;
const LEASE_MS = 6_000;

type WireMessage = WorkerMessage | DispatcherMessage;

export interface HouseWorker {
  supervisor: WorkerSupervisor;
  pool: FakePool;
  instance: string;
  /** How often somebody asked it to drain. */
  drainRequests: number;
  /** Ends it as SIGKILL would. */
  kill: () => Promise<void>;
}

export interface HouseWorkerOptions {
  name?: string;
  slots?: number;
  urls?: string[];
  labels?: string[];
  python?: { pythonVersion: string; pythonImplementation: string };
}

export interface HouseDispatcher {
  dispatcher: Dispatcher;
  url: string;
  /** How often somebody asked it to drain. */
  drainRequests: number;
  /** Ends it as SIGKILL would. */
  kill: () => Promise<void>;
}

/** Actors on in-memory buses, over a real Redis, with pools that are not real. */
export class House {
  /** Everything that any actor has logged. */
  readonly transitions = recordTransitions();
  readonly errors: unknown[] = [];
  /** Control events, in order. */
  readonly events: ControlMessage[] = [];
  /** Messages between workers and dispatchers for which this answers true are lost. */
  loses: (message: WireMessage) => boolean = () => false;
  /** Those arrive three times. */
  repeats: (message: WireMessage) => boolean = () => false;

  private readonly onError = (error: unknown): unknown => this.errors.push(error);
  private readonly control = new MemoryHub(this.onError);
  private readonly wires = new Map<string, MemoryHub>();
  private readonly stops: (() => Promise<void>)[] = [];

  /** Of dispatchers and monitors, in proportion to the heartbeat. */
  readonly timings: WorkerTimings;

  constructor(
    readonly fixture: StoreFixture,
    private readonly leaseMs: number,
    readonly heartbeatMs: number,
  ) {
    this.timings = { suspectAfterMs: 7 * heartbeatMs, lostAfterMs: 15 * heartbeatMs };
    this.control
      .endpoint<ControlMessage, ControlMessage>('ear', CONTROL_TOPICS)
      .listen((event) => this.events.push(event));
  }

  async stop(): Promise<void> {
    for (const stop of this.stops.splice(0).reverse()) await stop();
  }

  /** As any process of the platform, or a forger, would. */
  say(event: ControlMessage): void {
    this.control.endpoint<ControlMessage, ControlMessage>('somebody').send(event.type, event);
  }

  /** `store`, `clock`: as this dispatcher sees them. */
  startDispatcher(url = 'one', store: TaskStore = this.fixture.store, clock: Clock = systemClock): HouseDispatcher {
    const workers = this.wire(url).endpoint<WorkerMessage, DispatcherMessage>(DISPATCHER);
    const control = this.control.endpoint<ControlMessage, ControlMessage>(`dispatcher-${randomUUID()}`, CONTROL_TOPICS);
    const dispatcher = new Dispatcher(
      {
        id: `dispatcher-${url}`,
        mode: 'push',
        heartbeatMs: this.heartbeatMs,
        leaseMs: this.leaseMs,
        pollMs: 20,
        timings: this.timings,
        functionCacheBytes: 1_000_000,
      },
      {
        store,
        workers,
        control,
        clock,
        transition: this.transitions.log,
        counts: new ProcessMetrics(),
        nonce: () => randomUUID().slice(0, 8),
        onDrainRequested: () => house.drainRequests++,
        onError: this.onError,
      },
    );
    dispatcher.start();
    const kill = async (): Promise<void> => {
      await Promise.all([workers.close(), control.close()]);
      await dispatcher.stop(0);
    };
    this.stops.push(kill);
    const house: HouseDispatcher = { dispatcher, url, kill, drainRequests: 0 };
    return house;
  }

  async startWorker(options: HouseWorkerOptions = {}): Promise<HouseWorker> {
    const pool = new FakePool(options.slots ?? 2, options.python);
    const instance = randomUUID();
    let bus: Bus<DispatcherMessage, WorkerMessage> | undefined;
    const supervisor = new WorkerSupervisor(
      {
        name: options.name ?? `worker-${instance.slice(0, 4)}`,
        instance,
        pid: 1,
        heartbeatMs: this.heartbeatMs,
        labels: options.labels ?? [],
        urls: options.urls ?? ['one'],
      },
      {
        pool,
        clock: systemClock,
        connect: (url) => (bus = this.wire(url).endpoint(`w-${randomUUID()}`)),
        onConnected: () => undefined,
        onDrainRequested: () => worker.drainRequests++,
        onError: this.onError,
      },
    );
    const kill = async (): Promise<void> => {
      await bus?.close();
      await supervisor.stop();
    };
    const worker: HouseWorker = { supervisor, pool, instance, kill, drainRequests: 0 };
    this.stops.push(kill);
    await supervisor.start();
    return worker;
  }

  startMonitor(): HeartbeatMonitor {
    const control = this.control.endpoint<ControlMessage, ControlMessage>(`monitor-${randomUUID()}`, CONTROL_TOPICS);
    const monitor = new HeartbeatMonitor(
      { reapMs: 30, timings: this.timings },
      {
        store: this.fixture.store,
        control,
        clock: systemClock,
        transition: this.transitions.log,
        onError: this.onError,
        onPaused: () => undefined,
      },
    );
    monitor.start();
    this.stops.push(async () => {
      monitor.stop();
      await control.close();
    });
    return monitor;
  }

  /** Registers the function and submits tasks that call it; nothing nudges the dispatcher. */
  async submit(body: FakeFunction, count = 1, more: Partial<NewTask> = {}): Promise<string[]> {
    const { functionId } = await this.fixture.store.registerFunction({ name: body, payload: Buffer.from(body) });
    const tasks = Array.from({ length: count }, () => newTask({ functionId, ...more }));
    await this.fixture.store.submit(tasks);
    return tasks.map(({ taskId }) => taskId);
  }

  states(taskIds: string[]): Promise<(TaskState | undefined)[]> {
    return this.fixture.store.readStatuses(taskIds);
  }

  /** Waits until each of the tasks is in the state. */
  async become(state: TaskState, taskIds: string[]): Promise<void> {
    await until(async () => (await this.states(taskIds)).every((one) => one === state));
  }

  /** Events of a task as Redis keeps them. */
  async story(taskId: string): Promise<string[]> {
    return (await this.fixture.store.readTask(taskId))!.history.map(({ event }) => event);
  }

  /** Transitions of a task as the actors have logged them. */
  logged(taskId: string): string[] {
    return this.transitions.lines
      .filter(({ id }) => id === taskId)
      .map(({ from, event, to }) => `${from} ${event} ${to}`);
  }

  private wire(url: string): MemoryHub {
    const known = this.wires.get(url);
    if (known) return known;
    const hub = new MemoryHub(this.onError, (deliver, { message }) => {
      if (this.loses(message as WireMessage)) return;
      for (let times = this.repeats(message as WireMessage) ? 3 : 1; times > 0; times--) setImmediate(deliver);
    });
    this.wires.set(url, hub);
    return hub;
  }
}

/** A house for each spec of a file, over one Redis. A worker that has heard nobody for 2.5 heartbeats turns to a new connection. */
export function useHouse(leaseMs = LEASE_MS, heartbeatMs = HEARTBEAT_MS): () => House {
  let fixture: StoreFixture;
  let house: House;
  before(async () => {
    fixture = await StoreFixture.start({ leaseMs });
  });
  beforeEach(async () => {
    await fixture.empty();
    house = new House(fixture, leaseMs, heartbeatMs);
  });
  afterEach(() => house.stop());
  after(() => fixture.stop());
  return () => house;
}
