import { type Bus, DISPATCHER } from '../bus/bus.js';
import type { DispatcherMessage, Failure, TaskOrder, TaskRef, TaskResult, WorkerMessage } from '../bus/messages.js';
import { type Clock, every } from './clock.js';
import type { ProcessPool, RuntimeInfo } from './processPool.js';

export interface WorkerSupervisorOptions {
  name: string;
  /** Random, new for each process. */
  instance: string;
  pid: number;
  heartbeatMs: number;
  /** Where dispatchers are; more are learnt from the one that is connected. */
  urls: readonly string[];
}

export interface WorkerSupervisorDeps {
  pool: ProcessPool;
  /** A new connection to the dispatcher at `url`; it reconnects by itself while the supervisor keeps it. */
  connect: (url: string) => Bus<DispatcherMessage, WorkerMessage>;
  clock: Clock;
  /** The dispatcher has answered (true), or has fallen silent (false). */
  onConnected: (connected: boolean, url: string) => void;
  /** A drain that somebody else asked for: the process should stop. */
  onDrainRequested: () => void;
  onError: (error: unknown) => void;
}

/** A dispatcher that has been silent for so many heartbeats is given up for another one, or for a new connection. */
const SILENT_HEARTBEATS = 4;
/** A result that is not acknowledged after so many heartbeats is sent again. */
const RESEND_HEARTBEATS = 3;
/** What orders wait for a function body that does not come: they are given back. */
const FUNCTION_WAIT_MS = 10_000;

interface Held {
  result: TaskResult;
  sentAtMs: number;
}

/**
 * Runs what a dispatcher orders on its process pool, and answers for it: a result is held, and sent again, until a dispatcher
 * acknowledges that it is in Redis. It neither knows Redis nor NATS.
 *
 * It is connected (welcomed by a dispatcher), or looking for one: then it goes on running what it has, says hello every heartbeat,
 * and after a while turns to the next dispatcher it knows. A hello names everything it holds; what the dispatcher then rejects is
 * no longer its own and is stopped.
 */
export class WorkerSupervisor {
  private bus: Bus<DispatcherMessage, WorkerMessage> | undefined;
  private url: string;
  private readonly urls: Set<string>;
  private welcomed = false;
  private reportedAway = false;
  private lastHeardAtMs: number;
  private lastRun = 0;
  private draining = false;
  private stopped = false;
  private info: RuntimeInfo = { pythonVersion: '', dillVersion: '' };
  /** Orders accepted and not ended, by task id. */
  private readonly orders = new Map<string, string>();
  /** Ended, not acknowledged, by task id. */
  private readonly held = new Map<string, Held>();
  private readonly waitingForFunction = new Map<string, { orders: TaskOrder[]; sinceMs: number }>();
  private stopTicking: () => void = () => undefined;

  constructor(
    private readonly options: WorkerSupervisorOptions,
    private readonly deps: WorkerSupervisorDeps,
  ) {
    this.urls = new Set(options.urls);
    this.url = options.urls[0] ?? '';
    this.lastHeardAtMs = deps.clock.now();
    deps.pool.onResults = (results) => {
      this.onFinished(results);
    };
  }

  /** Starts the processes, then connects. Rejects with a sentence for people when Python cannot run. */
  async start(): Promise<void> {
    this.info = await this.deps.pool.start();
    if (this.stopped) return;
    this.connect(this.url);
    this.stopTicking = every(this.deps.clock, this.options.heartbeatMs, () => {
      this.tick();
    });
  }

  /** Attempts it answers for: running, waiting, or ended and not acknowledged. */
  get holding(): number {
    return this.orders.size + this.held.size;
  }

  /**
   * Takes nothing new, gives back what has not started, lets the rest finish, at most `graceMs`; what still runs then is reported
   * interrupted. Waits for acknowledgements, a little, says goodbye, and ends the processes. Idempotent.
   */
  async drain(graceMs: number): Promise<void> {
    if (this.draining) return;
    this.draining = true;
    const { clock, pool } = this.deps;
    this.send({ type: 'draining' });
    this.giveBack(pool.takeBack(Number.MAX_SAFE_INTEGER));
    await this.until(() => this.orders.size === 0, clock.now() + graceMs);
    const stopped = pool.stop(Math.min(graceMs, 1_000));
    this.onFinished([...this.orders].map(([taskId, fence]) => emptyResult({ taskId, fence }, 'interrupted', STOPPED)));
    if (this.welcomed) await this.until(() => this.held.size === 0, clock.now() + 2_000);
    this.send({ type: 'goodbye' });
    await stopped;
    await this.close();
  }

  /** Ends at once; what it ran is found missing by its dispatcher. */
  async stop(): Promise<void> {
    this.draining = true;
    await this.deps.pool.stop(0);
    await this.close();
  }

  private async close(): Promise<void> {
    this.stopped = true;
    this.stopTicking();
    await this.bus?.close();
  }

  private until(condition: () => boolean, deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (condition() || this.deps.clock.now() >= deadlineMs) resolve();
        else this.deps.clock.setTimeout(check, 10);
      };
      check();
    });
  }

  // --- the connection

  private connect(url: string): void {
    const previous = this.bus;
    if (previous) void previous.close().catch(this.deps.onError);
    this.url = url;
    this.welcomed = false;
    this.lastRun = 0;
    this.lastHeardAtMs = this.deps.clock.now();
    const bus = this.deps.connect(url);
    this.bus = bus;
    bus.listen((message) => {
      if (this.bus === bus) this.onMessage(message);
    });
    this.sayHello();
  }

  private tick(): void {
    const { clock } = this.deps;
    const silentMs = clock.now() - this.lastHeardAtMs;
    if (silentMs > SILENT_HEARTBEATS * this.options.heartbeatMs) {
      this.reportAway();
      this.connect(this.nextUrl());
      return;
    }
    if (!this.welcomed) {
      this.sayHello();
      return;
    }
    const load = this.deps.pool.load();
    this.send({ type: 'heartbeat', lastRun: this.lastRun, running: load.running, queued: load.queued });
    const resendBefore = clock.now() - RESEND_HEARTBEATS * this.options.heartbeatMs;
    this.report([...this.held.values()].filter(({ sentAtMs }) => sentAtMs < resendBefore));
    this.expireWaiting();
  }

  private nextUrl(): string {
    const urls = [...this.urls];
    return urls[(urls.indexOf(this.url) + 1) % urls.length] ?? this.url;
  }

  private reportAway(): void {
    if (this.reportedAway) return;
    this.reportedAway = true;
    this.deps.onConnected(false, this.url);
  }

  private sayHello(): void {
    const holding = [...this.orders].map(([taskId, fence]) => ({ taskId, fence }));
    for (const { result } of this.held.values()) holding.push({ taskId: result.taskId, fence: result.fence });
    this.send({
      type: 'hello',
      name: this.options.name,
      instance: this.options.instance,
      slots: this.deps.pool.slots,
      pid: this.options.pid,
      ...this.info,
      holding,
      lastRun: this.lastRun,
      functions: this.deps.pool.functionIds(),
    });
    if (this.draining) this.send({ type: 'draining' });
  }

  private send(message: WorkerMessage): void {
    this.bus?.send(DISPATCHER, message);
  }

  private onMessage(message: DispatcherMessage): void {
    this.lastHeardAtMs = this.deps.clock.now();
    switch (message.type) {
      case 'welcome':
        this.onWelcome(message.rejected, message.dispatchers);
        break;
      case 'sayHello':
        this.sayHello();
        break;
      case 'heartbeat':
        for (const url of message.dispatchers) this.urls.add(url);
        break;
      case 'run':
        this.lastRun = message.sequence;
        this.addFunctions(message.functions);
        this.accept(message.orders);
        break;
      case 'functions':
        this.addFunctions(message.functions);
        break;
      case 'acknowledge':
        for (const { taskId, fence } of message.settled) {
          if (this.held.get(taskId)?.result.fence === fence) this.held.delete(taskId);
        }
        break;
      case 'abort':
        this.abort(message.tasks);
        break;
      case 'takeBack':
        this.giveBack(this.deps.pool.takeBack(message.limit));
        break;
      case 'drain':
        this.deps.onDrainRequested();
        break;
      default:
        message satisfies never;
    }
  }

  private onWelcome(rejected: TaskRef[], dispatchers: string[]): void {
    for (const url of dispatchers) this.urls.add(url);
    this.abort(rejected);
    if (this.welcomed) return;
    this.welcomed = true;
    this.reportedAway = false;
    this.deps.onConnected(true, this.url);
    this.report([...this.held.values()]);
  }

  // --- work

  private addFunctions(functions: { functionId: string; body: Buffer }[]): void {
    for (const { functionId, body } of functions) {
      this.deps.pool.addFunction(functionId, body);
      const waiting = this.waitingForFunction.get(functionId);
      if (!waiting) continue;
      this.waitingForFunction.delete(functionId);
      this.deps.pool.run(waiting.orders.filter(({ taskId, fence }) => this.orders.get(taskId) === fence));
    }
  }

  private accept(orders: TaskOrder[]): void {
    const fresh = orders.filter(({ taskId, fence }) => {
      return this.orders.get(taskId) !== fence && this.held.get(taskId)?.result.fence !== fence;
    });
    for (const { taskId, fence } of fresh) {
      const earlier = this.orders.get(taskId);
      // The same task under a new fence: the earlier attempt here has lost its lease.
      if (earlier !== undefined) this.deps.pool.abort({ taskId, fence: earlier });
      this.held.delete(taskId);
      this.orders.set(taskId, fence);
    }
    if (this.draining) {
      this.giveBack(fresh);
      return;
    }
    const runnable = fresh.filter((order) => this.deps.pool.hasFunction(order.functionId));
    if (runnable.length < fresh.length) this.askForFunctions(fresh.filter((order) => !runnable.includes(order)));
    if (runnable.length > 0) this.deps.pool.run(runnable);
  }

  private askForFunctions(orders: TaskOrder[]): void {
    for (const order of orders) {
      const waiting = this.waitingForFunction.get(order.functionId);
      if (waiting) waiting.orders.push(order);
      else this.waitingForFunction.set(order.functionId, { orders: [order], sinceMs: this.deps.clock.now() });
    }
    this.send({ type: 'functionsMissing', functionIds: [...this.waitingForFunction.keys()] });
  }

  private expireWaiting(): void {
    if (this.waitingForFunction.size === 0) return;
    const before = this.deps.clock.now() - FUNCTION_WAIT_MS;
    for (const [functionId, { orders, sinceMs }] of this.waitingForFunction) {
      if (sinceMs >= before) continue;
      this.waitingForFunction.delete(functionId);
      this.giveBack(orders);
    }
    if (this.waitingForFunction.size > 0) {
      this.send({ type: 'functionsMissing', functionIds: [...this.waitingForFunction.keys()] });
    }
  }

  private onFinished(results: TaskResult[]): void {
    const now = this.deps.clock.now();
    const fresh: Held[] = [];
    for (const result of results) {
      if (this.orders.get(result.taskId) !== result.fence) continue; // Aborted meanwhile.
      this.orders.delete(result.taskId);
      const held = { result, sentAtMs: now };
      this.held.set(result.taskId, held);
      fresh.push(held);
    }
    this.report(fresh);
  }

  private report(held: Held[]): void {
    if (held.length === 0 || !this.welcomed) return;
    const now = this.deps.clock.now();
    for (const entry of held) entry.sentAtMs = now;
    this.send({ type: 'results', results: held.map(({ result }) => result) });
  }

  private giveBack(tasks: TaskRef[]): void {
    this.onFinished(tasks.map((task) => emptyResult(task, 'released')));
  }

  private abort(tasks: TaskRef[]): void {
    for (const task of tasks) {
      if (this.orders.get(task.taskId) === task.fence) {
        this.orders.delete(task.taskId);
        this.deps.pool.abort(task);
      }
      if (this.held.get(task.taskId)?.result.fence === task.fence) this.held.delete(task.taskId);
    }
  }
}

const STOPPED: Failure = { type: 'WorkerFailure', message: 'the worker was stopped while it ran the task' };
const NO_BYTES = Buffer.alloc(0);

function emptyResult({ taskId, fence }: TaskRef, outcome: TaskResult['outcome'], failure?: Failure): TaskResult {
  return {
    taskId,
    fence,
    outcome,
    payload: NO_BYTES,
    ...(failure && { failure }),
    startedAtMs: 0,
    runTimeUs: 0,
    peakMemoryKib: 0,
    output: NO_BYTES,
    outputTruncated: false,
  };
}
