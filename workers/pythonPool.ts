/**
 * A pool of warm Python processes behind the interface `ProcessPool`.
 *
 * An order is `queued` (in `queue`) or `sent` (in a process's `outstanding`), and known by its key in `tasks` until its one
 * result is reported or it is dropped. What enters `sent`: `dispatch`. What leaves it: an answer; a process's end, where the
 * begun task is reported and all others go back to the queue unnoticed; being taken back from behind a long task.
 *
 * Trade-off: short functions are sent ahead, several to a process, which costs a tenth of one at a time. In exchange a task
 * sent ahead must be fetched back when the one before it turns out long (headWatch.ts), and after a crash the shared page
 * tells which task had begun.
 */
import { emptyResult } from '../bus/emptyResult.js';
import type { TaskOrder, TaskRef, TaskResult } from '../bus/messages.js';
import type { PoolLoad, ProcessPool, RuntimeInfo } from '../actors/processPool.js';
import { orderBytes } from '../bus/orderBytes.js';
import { judgeEnd, resultOfEnd } from './endResult.js';
import { dispatchFresh } from './freshProcesses.js';
import { HeadWatch } from './headWatch.js';
import { KnownFunctions } from './knownFunctions.js';
import { DEFAULT_HUNG_AFTER_MS, type PythonPoolOptions } from './poolOptions.js';
import { taskKey, type PoolTask } from './poolTask.js';
import { ProcessSlots } from './processSlots.js';
import type { Finished, ProcessEnd, SentTask } from './processParts.js';
import type { PythonProcess } from './pythonProcess.js';
import { WaitingTasks } from './waitingTasks.js';
import { chooseSlot, FORESEEABLE_FUNCTION_US } from './slotChoice.js';

/** How soon stopping a task that is just changing hands is tried again. */
const STOP_AGAIN_MS = 10;
/** How often, until it is stopped though results of tasks before it are lost with it, and those run again. */
const MAX_STOP_TRIES = 20;

export class PythonPool implements ProcessPool {
  readonly slots: number;
  onResults: (results: TaskResult[]) => void = () => undefined;
  onPrinted: (task: TaskRef) => void = () => undefined;
  onAborted: (task: TaskRef, output: Buffer) => void = () => undefined;
  private readonly functions: KnownFunctions;
  private readonly tasks = new Map<string, PoolTask>();
  private readonly queue = new WaitingTasks();
  /** By process; reported when the process has ended: not before can the function do nothing more. */
  private readonly timedOutTasks = new Map<PythonProcess, SentTask>();
  private readonly processes: ProcessSlots;
  private readonly watch: HeadWatch;
  private arrivals = 0;

  constructor(options: PythonPoolOptions) {
    this.slots = options.slots;
    this.functions = new KnownFunctions(options.maxFunctionBytes);
    this.processes = new ProcessSlots(options, {
      ready: () => {
        this.dispatch();
      },
      progressed: (process, finished, skipped) => {
        this.progressed(process, finished, skipped);
      },
      ended: (process, end) => {
        this.ended(process, end);
      },
      outOfProcesses: () => {
        this.releaseQueued();
      },
      printed: ({ task }) => {
        this.onPrinted(task.order);
      },
    });
    this.watch = new HeadWatch(() => this.processes.live, options.hungAfterMs ?? DEFAULT_HUNG_AFTER_MS, {
      timedOut: (process, sent) => {
        this.timedOut(process, sent);
      },
      stalled: (process) => {
        this.stalled(process);
      },
      // Its tasks run elsewhere once it has ended.
      hung: (process) => {
        process.end('hung');
        this.processes.giveUp(process);
      },
    });
  }

  start(): Promise<RuntimeInfo> {
    return this.processes.start();
  }

  addFunction(functionId: string, body: Buffer): void {
    this.functions.add(functionId, body);
  }

  hasFunction(functionId: string): boolean {
    return this.functions.has(functionId);
  }

  functionIds(): string[] {
    return this.functions.ids();
  }

  run(orders: TaskOrder[]): void {
    if (this.processes.isStopped) return;
    const unknown: TaskResult[] = [];
    for (const order of orders) {
      const key = taskKey(order);
      // The same attempt twice is one attempt.
      if (this.tasks.has(key)) continue;
      const body = this.functions.get(order.functionId);
      if (body === undefined) {
        unknown.push(
          emptyResult(order, 'interrupted', {
            type: 'WorkerFailure',
            message: `the worker lacks function ${order.functionId}`,
          }),
        );
        continue;
      }
      const task: PoolTask = { order, body, arrival: this.arrivals++, dropped: false, alone: false, followed: false };
      this.tasks.set(key, task);
      this.queue.push(task);
    }
    if (unknown.length > 0) queueMicrotask(() => this.onResults(unknown));
    this.dispatch();
  }

  abort(ref: TaskRef): void {
    const key = taskKey(ref);
    const task = this.tasks.get(key);
    if (task === undefined) return;
    this.tasks.delete(key);
    const holder = this.holderOf(task);
    if (holder === undefined) {
      this.queue.drop(task);
      return;
    }
    task.dropped = true;
    this.stopSent(holder.process, holder.sent);
    this.dispatch();
  }

  /** Stops a dropped task that was sent. There are moments when it has not begun and cannot be revoked: then again soon. */
  private stopSent(process: PythonProcess, sent: SentTask, tries = 0): void {
    if (process.state !== 'ready' || !process.outstanding.has(sent.sequence)) return;
    if (process.begun() !== sent) this.queue.putBack(process.revoke(sent.sequence));
    // Reserved for this task alone, it may have none now, and nothing that it answers would tell.
    if (process.isWorn) this.retire(process);
    if (process.begun() === sent && (process.oldest() === sent || tries >= MAX_STOP_TRIES)) {
      if (this.endProcess(process, sent, 'aborted')) return;
    }
    // It has ended, and its result waits behind a long task; or it is just about to begin; or results before it are yet to come.
    process.poke();
    setTimeout(() => {
      this.stopSent(process, sent, tries + 1);
      this.dispatch();
    }, STOP_AGAIN_MS).unref();
  }

  follow(ref: TaskRef, followed: boolean): void {
    const task = this.tasks.get(taskKey(ref));
    if (task === undefined || task.followed === followed) return;
    task.followed = followed;
    const holder = followed ? this.holderOf(task) : undefined;
    if (holder === undefined) return;
    holder.process.poke();
    this.watch.update(holder.process);
  }

  printed(ref: TaskRef, from: number, limit: number): { bytes: Buffer; length: number } | undefined {
    const task = this.tasks.get(taskKey(ref));
    if (task === undefined) return undefined;
    const { output } = task;
    return { bytes: output?.slice(from, limit) ?? Buffer.alloc(0), length: output?.length ?? 0 };
  }

  takeBack(limit: number, among?: ReadonlySet<string>): TaskOrder[] {
    if (this.queue.size < limit || among) {
      for (const process of this.processes.live) {
        const oldest = process.oldest();
        if (oldest !== undefined && process.outstandingCount > 1)
          this.queue.putBack(process.revoke(oldest.sequence + 1));
      }
    }
    const orders: TaskOrder[] = [];
    while (orders.length < limit) {
      const task = this.queue.pop(among);
      if (task === undefined) break;
      this.tasks.delete(taskKey(task.order));
      orders.push(task.order);
    }
    this.dispatch();
    return orders;
  }

  load(): PoolLoad {
    const running = [...this.processes.all].filter((process) => process.isWanted()).length + this.timedOutTasks.size;
    return { running, queued: Math.max(0, this.tasks.size - running) };
  }

  stop(graceMs: number): Promise<void> {
    this.watch.stop();
    this.tasks.clear();
    return this.processes.stop(graceMs);
  }

  private dispatch(): void {
    if (this.processes.isStopped) return;
    const used = new Set<PythonProcess>();
    if (this.queue.fresh.size > 0) {
      const send = (process: PythonProcess, task: PoolTask): void => {
        process.send(task, Infinity);
        used.add(process);
      };
      for (const process of dispatchFresh(this.processes.live, this.queue, send)) this.retire(process);
    }
    const ready = this.processes.live.filter(({ state, isWorn }) => state === 'ready' && !isWorn);
    for (let task = this.queue.warm.peek(); task !== undefined; task = this.queue.warm.peek()) {
      const expectedUs = task.alone ? undefined : this.functions.expectedUs(task.order.functionId);
      const process = chooseSlot(ready, { expectedUs, bytes: orderBytes(task.order) });
      if (process === undefined) break;
      process.send(task, expectedUs !== undefined && expectedUs < FORESEEABLE_FUNCTION_US ? expectedUs : Infinity);
      this.queue.warm.shift();
      used.add(process);
    }
    for (const process of used) {
      process.flush();
      this.watch.update(process);
    }
  }

  private holderOf(task: PoolTask): { process: PythonProcess; sent: SentTask } | undefined {
    for (const process of this.processes.all) {
      for (const sent of process.outstanding.values()) if (sent.task === task) return { process, sent };
    }
    return undefined;
  }

  /** Tasks wait behind a long one: they go elsewhere, and results that wait inside the process are asked for. */
  private stalled(process: PythonProcess): void {
    const oldest = process.oldest();
    if (oldest === undefined) return;
    this.queue.putBack(process.revoke(oldest.sequence + 1));
    if (process.begun() !== oldest) process.poke();
    this.dispatch();
  }

  private timedOut(process: PythonProcess, sent: SentTask): void {
    if (this.endProcess(process, sent, 'timeout')) {
      sent.task.dropped = true;
      this.timedOutTasks.set(process, sent);
    }
    this.dispatch();
  }

  /**
   * Ends a process because of the task it runs. What waits behind that one runs elsewhere, from now on where possible; and nothing
   * of it can begin any more before the process is ended. False when the task has come to its own end meanwhile.
   */
  private endProcess(process: PythonProcess, sent: SentTask, reason: 'timeout' | 'aborted'): boolean {
    if (process.outstandingCount > 1) this.queue.putBack(process.revoke(sent.sequence + 1));
    if (process.begun() !== sent) return false;
    this.watch.forget(process);
    process.end(reason);
    this.processes.giveUp(process);
    return true;
  }

  private progressed(process: PythonProcess, finished: Finished[], skipped: PoolTask[]): void {
    if (this.processes.isStopped) return;
    const results: TaskResult[] = [];
    for (const { sent, result } of finished) {
      this.functions.observe(sent.task.order.functionId, result.runTimeUs);
      if (this.settle(sent.task)) results.push(result);
    }
    this.queue.putBack(skipped);
    if (process.state === 'ending' || process.isWorn) this.retire(process);
    this.watch.update(process);
    // Before the results are looked at, so that Python works meanwhile.
    this.dispatch();
    if (results.length > 0) this.onResults(results);
  }

  /** A process that ends by itself, having been spoilt by a task, or that is worn. */
  private retire(process: PythonProcess): void {
    if (process.isWorn && process.state === 'ready') {
      process.takenBack = true;
      if (process.outstandingCount > 0) return;
      process.end('recycled');
    }
    this.processes.giveUp(process);
  }

  /** Tells whether the task's result is wanted, which it is once. */
  private settle(task: PoolTask): boolean {
    if (task.dropped) return false;
    task.dropped = true;
    return this.tasks.delete(taskKey(task.order));
  }

  private ended(process: PythonProcess, end: ProcessEnd): void {
    this.watch.forget(process);
    if (this.processes.isStopped) return;
    const timedOut = this.timedOutTasks.get(process);
    this.timedOutTasks.delete(process);
    const { blamed, suspects } = timedOut === undefined ? judgeEnd(process, end) : { blamed: timedOut, suspects: [] };
    const results: TaskResult[] = [];
    // An aborted one is known no more.
    if (blamed !== undefined && this.tasks.delete(taskKey(blamed.task.order))) {
      blamed.task.dropped = true;
      const { peakMemoryKib } = process;
      results.push(resultOfEnd(blamed, end, { timedOut: timedOut !== undefined, peakMemoryKib }));
    }
    for (const { task } of process.outstanding.values()) {
      if (task !== blamed?.task && task.dropped && task.output) this.onAborted(task.order, task.output.record());
    }
    for (const { task } of suspects) task.alone = true;
    this.queue.putBack([...process.outstanding.values()].map(({ task }) => task));
    this.dispatch();
    if (results.length > 0) this.onResults(results);
  }

  /** Held here, they would wait for ever. Given back at the pace of the attempts to start, they find another worker. */
  private releaseQueued(): void {
    const released: TaskResult[] = [];
    for (let task = this.queue.shift(); task !== undefined; task = this.queue.shift()) {
      this.tasks.delete(taskKey(task.order));
      released.push(emptyResult(task.order, 'released'));
    }
    if (released.length > 0) this.onResults(released);
  }
}
