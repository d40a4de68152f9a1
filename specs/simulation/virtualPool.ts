import type { Clock } from '../../actors/clock.js';
import type { PoolLoad, ProcessPool, RuntimeInfo } from '../../actors/processPool.js';
import type { TaskOrder, TaskRef, TaskResult } from '../../bus/messages.js';
import { endingOf, resultOf } from './behaviour.js';
import type { Random } from './random.js';

export interface VirtualPoolEvents {
  /** The function of this attempt is called now. */
  started: (order: TaskOrder) => void;
  /** It came to its own end; `crashed` when it took its process with it. */
  ended: (order: TaskOrder, crashed: boolean) => void;
}

const START_MS = 200;
const RESTART_MS = [50, 500] as const;

/** A process pool of virtual time: each order runs for as long, and ends the way, its arguments say. */
export class VirtualPool implements ProcessPool {
  onResults: (results: TaskResult[]) => void = () => undefined;
  onPrinted: (task: TaskRef) => void = () => undefined;
  onAborted: (task: TaskRef, output: Buffer) => void = () => undefined;
  /** Attempts whose functions are being called, and what ends them. */
  private readonly running = new Map<string, { order: TaskOrder; timer: unknown }>();
  private readonly queue: TaskOrder[] = [];
  private readonly functions = new Set<string>();
  /** Slots whose process is being started again. */
  private restarting = 0;
  private stopped = false;

  constructor(
    readonly slots: number,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly events: VirtualPoolEvents,
    private readonly python = { pythonVersion: '3.11.2', pythonImplementation: 'cpython' },
  ) {}

  start(): Promise<RuntimeInfo> {
    return new Promise((resolve) => {
      this.clock.setTimeout(() => {
        resolve({ dillVersion: '0.4', ...this.python });
      }, START_MS);
    });
  }

  get runningOrders(): TaskOrder[] {
    return [...this.running.values()].map(({ order }) => order);
  }

  addFunction(functionId: string): void {
    this.functions.add(functionId);
  }

  hasFunction(functionId: string): boolean {
    return this.functions.has(functionId);
  }

  functionIds(): string[] {
    return [...this.functions];
  }

  run(orders: TaskOrder[]): void {
    if (this.stopped) return;
    for (const order of orders) {
      if (!this.running.has(keyOf(order)) && this.waitingIndex(order) < 0) this.queue.push(order);
    }
    this.fillSlots();
  }

  abort(task: TaskRef): void {
    const running = this.running.get(keyOf(task));
    if (running) {
      this.clock.clearTimeout(running.timer);
      this.running.delete(keyOf(task));
      this.restartProcess();
    } else {
      const index = this.waitingIndex(task);
      if (index >= 0) this.queue.splice(index, 1);
    }
    this.fillSlots();
  }

  takeBack(limit: number, among?: ReadonlySet<string>): TaskOrder[] {
    const asked = this.queue.filter(({ taskId }) => among?.has(taskId) ?? true);
    const taken = asked.slice(Math.max(0, asked.length - limit)).reverse();
    for (const order of taken) this.queue.splice(this.queue.indexOf(order), 1);
    return taken;
  }

  follow(): void {
    // Nothing is printed in the simulation.
  }

  printed(): undefined {
    return undefined;
  }

  load(): PoolLoad {
    return { running: this.running.size, queued: this.queue.length };
  }

  stop(): Promise<void> {
    this.stopped = true;
    for (const { timer } of this.running.values()) this.clock.clearTimeout(timer);
    this.running.clear();
    this.queue.length = 0;
    return Promise.resolve();
  }

  private fillSlots(): void {
    while (!this.stopped && this.running.size + this.restarting < this.slots) {
      const order = this.queue.shift();
      if (!order) return;
      this.begin(order);
    }
  }

  private begin(order: TaskOrder): void {
    this.events.started(order);
    const end = endingOf(order);
    const timer = end && this.clock.setTimeout(() => this.end(order, end), end.afterMs);
    this.running.set(keyOf(order), { order, timer });
  }

  private end(order: TaskOrder, { ending, afterMs }: NonNullable<ReturnType<typeof endingOf>>): void {
    this.running.delete(keyOf(order));
    this.events.ended(order, ending === 'crashed');
    if (ending === 'crashed' || ending === 'timedOut') this.restartProcess();
    this.fillSlots();
    this.onResults([resultOf(order, ending, afterMs)]);
  }

  private restartProcess(): void {
    this.restarting++;
    this.clock.setTimeout(
      () => {
        this.restarting--;
        this.fillSlots();
      },
      this.random.between(...RESTART_MS),
    );
  }

  private waitingIndex({ taskId, fence }: TaskRef): number {
    return this.queue.findIndex((order) => order.taskId === taskId && order.fence === fence);
  }
}

const keyOf = ({ taskId, fence }: TaskRef): string => `${taskId} ${fence}`;
