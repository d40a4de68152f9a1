import { every } from '../../actors/clock.js';
import { Dispatcher } from '../../actors/dispatcher.js';
import { HeartbeatMonitor } from '../../actors/heartbeatMonitor.js';
import type { WorkerTimings } from '../../actors/lifecycles/workerMachine.js';
import { WorkerSupervisor } from '../../actors/workerSupervisor.js';
import type { Bus } from '../../bus/bus.js';
import type { ControlMessage } from '../../bus/controlMessages.js';
import type { DispatcherMessage, TaskOrder, WorkerMessage } from '../../bus/messages.js';
import { pythonOf } from '../../bus/requirement.js';
import { ProcessMetrics } from '../../bus/metrics.js';
import type { TaskStore } from '../../bus/taskStore.js';
import type { TransitionLog } from '../../bus/transitionLog.js';
import type { Ledger } from './ledger.js';
import type { Network } from './network.js';
import type { Random } from './random.js';
import type { Timeline } from './timeline.js';
import type { Trace } from './trace.js';
import { VirtualPool } from './virtualPool.js';
import { SimulatedProcess, VirtualClock } from './virtualClock.js';

/** What hosts need of the world they live in. */
export interface Surroundings {
  timeline: Timeline;
  random: Random;
  trace: Trace;
  network: Network;
  ledger: Ledger;
  openStore: (owner: SimulatedProcess) => TaskStore;
  leaseMs: number;
  heartbeatMs: number;
  pollMs: number;
  reapMs: number;
  timings: WorkerTimings;
  /** Where a breakage reaches in. */
  dispatcherBus: (bus: Bus<WorkerMessage, DispatcherMessage>) => Bus<WorkerMessage, DispatcherMessage>;
}

/** An actor that lives now: its process, and what ends it in good order. */
interface Life {
  process: SimulatedProcess;
  clock: VirtualClock;
  /** What a kernel closes when the process dies. */
  sockets: { close(): Promise<void> }[];
}

/** Longer than any task runs: who drains waits for its tasks. */
const DRAIN_GRACE_MS = 120_000;

/**
 * A place where one actor runs: down -> up -> (draining ->) down, again and again, each time as a new process. A crash takes
 * everything the process had.
 */
export abstract class Host {
  protected life: Life | undefined;
  private lives = 0;
  private draining = false;

  constructor(
    readonly name: string,
    protected readonly world: Surroundings,
  ) {}

  get process(): SimulatedProcess | undefined {
    return this.life?.process;
  }

  get isUp(): boolean {
    return this.life !== undefined;
  }

  get isServing(): boolean {
    return this.life !== undefined && !this.draining && !this.life.process.paused;
  }

  start(): void {
    if (this.life) return;
    const process = new SimulatedProcess(`${this.name}.${this.lives++}`, this.world.timeline);
    this.life = { process, clock: new VirtualClock(this.world.timeline, process), sockets: [] };
    this.draining = false;
    this.world.trace.add(`${process.name} STARTED`);
    this.run(this.life);
  }

  crash(): void {
    const { life } = this;
    if (!life) return;
    this.world.trace.add(`${life.process.name} CRASHED`);
    this.end(life);
  }

  /** TERM: leaves in good order, then is down; `afterwards` is called then, unless it crashed meanwhile. */
  drain(afterwards: () => void): void {
    const { life } = this;
    if (!life || this.draining) return;
    this.draining = true;
    this.world.trace.add(`${life.process.name} DRAINS`);
    void this.leave(DRAIN_GRACE_MS).then(() => {
      if (this.life !== life) return;
      this.world.trace.add(`${life.process.name} LEFT`);
      this.end(life);
      afterwards();
    });
  }

  jumpWallClock(byMs: number): void {
    this.life?.clock.jumpWall(byMs);
  }

  protected abstract run(life: Life): void;
  protected abstract leave(graceMs: number): Promise<void>;

  protected transitions(life: Life): TransitionLog {
    return (machine, id, from, event, to) => {
      if (machine !== 'task')
        this.world.trace.add(`${life.process.name}: ${machine} ${id} ${from} -> ${to} (${event})`);
    };
  }

  protected onError(life: Life): (error: unknown) => void {
    return (error) => {
      this.world.ledger.onError(life.process.name, error);
    };
  }

  private end(life: Life): void {
    life.process.kill();
    for (const socket of life.sockets) void socket.close();
    this.life = undefined;
  }
}

export class DispatcherHost extends Host {
  dispatcher: Dispatcher | undefined;

  get url(): string {
    return `tcp://${this.name}`;
  }

  protected run(life: Life): void {
    const { world } = this;
    const { process, clock } = life;
    const control = world.network.controlEndpoint(process);
    const workers = world.network.dispatcherEndpoint(process, this.url);
    life.sockets.push(control, workers);
    this.dispatcher = new Dispatcher(
      {
        id: process.name,
        mode: 'push',
        heartbeatMs: world.heartbeatMs,
        leaseMs: world.leaseMs,
        pollMs: world.pollMs,
        timings: world.timings,
        functionCacheBytes: 1_000,
      },
      {
        store: world.openStore(process),
        workers: world.dispatcherBus(workers),
        control,
        clock,
        transition: this.transitions(life),
        counts: new ProcessMetrics(),
        nonce: () => world.random.hex(8),
        onError: this.onError(life),
      },
    );
    this.dispatcher.start();
    every(clock, world.heartbeatMs, () => {
      this.announce(control, process.name);
    });
  }

  protected async leave(graceMs: number): Promise<void> {
    await this.dispatcher?.stop(graceMs);
  }

  /** As the component around the actor does. */
  private announce(control: Bus<ControlMessage, ControlMessage>, id: string): void {
    const address = this.url;
    control.send('component.heartbeat', {
      type: 'component.heartbeat',
      kind: 'dispatcher',
      id,
      state: 'running',
      address,
    });
  }
}

export interface SimulatedWorker {
  workerName: string;
  slots: number;
  urls: readonly string[];
  labels: readonly string[];
  python: { pythonVersion: string; pythonImplementation: string };
}

export class SupervisorHost extends Host {
  supervisor: WorkerSupervisor | undefined;
  pool: VirtualPool | undefined;

  constructor(
    name: string,
    world: Surroundings,
    private readonly options: SimulatedWorker,
  ) {
    super(name, world);
  }

  protected run(life: Life): void {
    const { world } = this;
    const { process, clock } = life;
    const { workerName: name, urls, slots, labels, python } = this.options;
    const capabilities = { labels, python: pythonOf(python.pythonImplementation, python.pythonVersion) };
    const events = {
      started: (order: TaskOrder) => {
        world.ledger.onStarted(order, process.name, capabilities);
      },
      ended: (order: TaskOrder, crashed: boolean) => {
        if (crashed) world.ledger.onCrashed(order);
      },
    };
    this.pool = new VirtualPool(slots, clock, world.random, events, python);
    this.supervisor = new WorkerSupervisor(
      { name, instance: world.random.uuid(), pid: 1, heartbeatMs: world.heartbeatMs, labels, urls },
      {
        pool: this.pool,
        connect: (url) => {
          const bus = world.network.workerEndpoint(process, url);
          life.sockets.push(bus);
          return bus;
        },
        clock,
        onConnected: (connected, url) => {
          world.trace.add(`${process.name} ${connected ? 'connected to' : 'hears nothing from'} ${url}`);
        },
        onDrainRequested: () => {
          this.drain(() => {
            this.start();
          });
        },
        onError: this.onError(life),
      },
    );
    void this.supervisor.start();
  }

  protected async leave(graceMs: number): Promise<void> {
    await this.supervisor?.drain(graceMs);
  }
}

export class MonitorHost extends Host {
  private monitor: HeartbeatMonitor | undefined;

  protected run(life: Life): void {
    const { world } = this;
    const control = world.network.controlEndpoint(life.process, ['worker.heartbeats']);
    life.sockets.push(control);
    this.monitor = new HeartbeatMonitor(
      { reapMs: world.reapMs, timings: world.timings },
      {
        store: world.openStore(life.process),
        control,
        clock: life.clock,
        transition: this.transitions(life),
        onError: this.onError(life),
        onPaused: (paused) => {
          world.trace.add(`${life.process.name} reaping ${paused ? 'paused' : 'goes on'}`);
        },
      },
    );
    this.monitor.start();
  }

  protected leave(): Promise<void> {
    this.monitor?.stop();
    return Promise.resolve();
  }
}
