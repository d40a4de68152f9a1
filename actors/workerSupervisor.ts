import { type BatchLimits, inBatches, MAX_GATHERED_BYTES } from '../bus/batches.js';
import type { Bus } from '../bus/bus.js';
import { emptyResult } from '../bus/emptyResult.js';
import type {
  DispatcherMessage,
  Failure,
  TaskOrder,
  TaskRef,
  TaskResult,
  WorkerHello,
  WorkerMessage,
  WorkerUsage,
} from '../bus/messages.js';
import type { Clock } from './clock.js';
import { DispatcherLink, type WorkMessage } from './dispatcherLink.js';
import { OutputTails } from './outputTails.js';
import type { ProcessPool, RuntimeInfo } from './processPool.js';

export interface WorkerSupervisorOptions {
  name: string;
  /** Random, new for each process. */
  instance: string;
  pid: number;
  heartbeatMs: number;
  /** Tasks that ask for labels come only to workers that have all of them. */
  labels?: readonly string[];
  /** How far functions are kept from this machine, for people. */
  sandbox?: string;
  /** Where dispatchers are; more are learnt from the one that is connected. */
  urls: readonly string[];
}

export interface WorkerSupervisorDeps {
  pool: ProcessPool;
  /** A new connection to the dispatcher at `url`; it reconnects by itself while the supervisor keeps it. */
  connect: (url: string) => Bus<DispatcherMessage, WorkerMessage>;
  clock: Clock;
  /** Of the process that it is in; absent where that tells of itself. */
  usage?: () => WorkerUsage;
  /** The dispatcher has answered (true), or has fallen silent (false). */
  onConnected: (connected: boolean, url: string) => void;
  /** A drain that somebody else asked for: the process should stop. */
  onDrainRequested: () => void;
  onError: (error: unknown) => void;
}

/** A result that is not acknowledged after so many heartbeats is sent again. */
const RESEND_HEARTBEATS = 3;
/** A worker that drains waits so long for the last acknowledgements: results may have to be sent a second time. */
const ACKNOWLEDGED_HEARTBEATS = RESEND_HEARTBEATS + 2;
/** What orders wait for a function body that does not come: they are given back. */
const FUNCTION_WAIT_MS = 10_000;

interface Held {
  result: TaskResult;
  sentAtMs: number;
}

/** What gathered while no dispatcher was there may be more than a wire takes at once. */
const REPORT_LIMITS: BatchLimits<Held> = {
  maxItems: Infinity,
  maxBytes: MAX_GATHERED_BYTES,
  sizeOf: ({ result: { payload, output } }) => payload.length + output.length,
};

/**
 * Runs what a dispatcher orders on its process pool, and answers for it: a result is held, and sent again, until a dispatcher
 * acknowledges that it is in Redis. It neither knows Redis nor NATS.
 *
 * While its link is looking for a dispatcher it goes on running what it has. A hello names everything it holds; what the dispatcher
 * then rejects is no longer its own and is stopped.
 */
export class WorkerSupervisor {
  private readonly link: DispatcherLink;
  private readonly tails: OutputTails;
  private draining = false;
  private stopped = false;
  private info: RuntimeInfo = { pythonVersion: '', pythonImplementation: '', dillVersion: '' };
  /** Orders accepted and not ended, by task id. */
  private readonly orders = new Map<string, string>();
  /** Ended, not acknowledged, by task id. */
  private readonly held = new Map<string, Held>();
  private readonly waitingForFunction = new Map<string, { orders: TaskOrder[]; sinceMs: number }>();

  constructor(
    private readonly options: WorkerSupervisorOptions,
    private readonly deps: WorkerSupervisorDeps,
  ) {
    const { pool, connect, clock, usage, onConnected, onError } = deps;
    this.link = new DispatcherLink(options, {
      connect,
      clock,
      onConnected,
      onError,
      hello: () => this.hello(),
      load: () => ({ ...pool.load(), ...(usage && { usage: usage() }) }),
      onWelcome: (rejected) => {
        this.onWelcome(rejected);
      },
      onMessage: (message) => {
        this.onMessage(message);
      },
      onBeat: () => {
        this.onBeat();
      },
    });
    const send = (message: WorkerMessage): void => {
      if (this.link.welcomed) this.link.send(message);
    };
    this.tails = new OutputTails({ pool, clock, send });
    pool.onResults = (results) => {
      this.onFinished(results);
    };
    pool.onPrinted = (task) => {
      this.tails.printed(task);
    };
    pool.onAborted = ({ taskId, fence }, output) => {
      send({ type: 'printed', taskId, fence, output });
    };
  }

  /** Starts the processes, then connects. Rejects with a sentence for people when Python cannot run. */
  async start(): Promise<void> {
    this.info = await this.deps.pool.start();
    if (!this.stopped) this.link.open();
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
    this.link.send({ type: 'draining' });
    this.giveBack(pool.takeBack(Number.MAX_SAFE_INTEGER));
    for (const { orders } of this.waitingForFunction.values()) this.giveBack(orders);
    this.waitingForFunction.clear();
    await this.until(() => this.orders.size === 0, clock.now() + graceMs);
    const stopped = pool.stop(Math.min(graceMs, 1_000));
    this.onFinished([...this.orders].map(([taskId, fence]) => emptyResult({ taskId, fence }, 'interrupted', STOPPED)));
    if (this.link.welcomed) {
      await this.until(() => this.held.size === 0, clock.now() + ACKNOWLEDGED_HEARTBEATS * this.options.heartbeatMs);
    }
    // A result that never reached a dispatcher is lost with this process: then it leaves without a word, as lost ones do, since what
    // it had when it said goodbye would be taken for unstarted, and the attempt not be counted.
    if (this.held.size === 0) this.link.sayGoodbye();
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
    await this.link.close();
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

  private hello(): Omit<WorkerHello, 'lastRun' | 'connection'> {
    const holding = [...this.orders].map(([taskId, fence]) => ({ taskId, fence }));
    for (const { result } of this.held.values()) holding.push({ taskId: result.taskId, fence: result.fence });
    const { name, instance, pid, labels = [], sandbox } = this.options;
    return {
      name,
      instance,
      pid,
      labels: [...labels],
      ...(sandbox !== undefined && { sandbox }),
      slots: this.deps.pool.slots,
      ...this.info,
      holding,
      functions: this.deps.pool.functionIds(),
    };
  }

  private onWelcome(rejected: TaskRef[]): void {
    this.abort(rejected);
    if (this.draining) this.link.send({ type: 'draining' });
    this.report([...this.held.values()]);
  }

  private onBeat(): void {
    const before = this.deps.clock.now() - RESEND_HEARTBEATS * this.options.heartbeatMs;
    this.report([...this.held.values()].filter(({ sentAtMs }) => sentAtMs < before));
    this.expireWaiting();
    this.tails.expire();
  }

  private onMessage(message: WorkMessage): void {
    switch (message.type) {
      case 'run':
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
      case 'follow':
        this.tails.follow(message);
        break;
      case 'takeBack':
        this.giveBack(this.deps.pool.takeBack(message.limit, message.among && new Set(message.among)));
        break;
      case 'drain':
        this.deps.onDrainRequested();
        break;
      default:
        message satisfies never;
    }
  }

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
    this.link.send({ type: 'functionsMissing', functionIds: [...this.waitingForFunction.keys()] });
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
      this.link.send({ type: 'functionsMissing', functionIds: [...this.waitingForFunction.keys()] });
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
    if (held.length === 0 || !this.link.welcomed) return;
    const now = this.deps.clock.now();
    for (const entry of held) entry.sentAtMs = now;
    for (const batch of inBatches(held, REPORT_LIMITS)) {
      this.link.send({ type: 'results', results: batch.map(({ result }) => result) });
    }
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
