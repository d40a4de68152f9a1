import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskOrder, TaskRef, TaskResult } from '../../../bus/messages.js';
import type { PoolLoad, ProcessPool, RuntimeInfo } from '../../../actors/processPool.js';

/**
 * A pool without processes. The body of a function is one of these words, the arguments are bytes:
 * - `echo`: returns its arguments at once
 * - `raise`: raises them
 * - `hang`: runs until `finish` is called
 * - `crash`: its process dies
 */
export type FakeFunction = 'echo' | 'raise' | 'hang' | 'crash';

export class FakePool implements ProcessPool {
  onResults: (results: TaskResult[]) => void = () => undefined;
  onPrinted: (task: TaskRef) => void = () => undefined;
  onAborted: (task: TaskRef, output: Buffer) => void = () => undefined;
  /** Every function call that has begun, in order. */
  readonly starts: TaskRef[] = [];
  /** Every order that was dropped or stopped by `abort`. */
  readonly aborted: TaskRef[] = [];
  private readonly bodies = new Map<string, string>();
  private readonly running = new Map<string, TaskOrder>();
  private waiting: TaskOrder[] = [];
  private stopped = false;

  constructor(
    readonly slots: number,
    private readonly python = { pythonVersion: '3.11.2', pythonImplementation: 'cpython' },
  ) {}

  async start(): Promise<RuntimeInfo> {
    await sleep(0);
    return { dillVersion: '0.3.8', ...this.python };
  }

  addFunction(functionId: string, body: Buffer): void {
    this.bodies.set(functionId, body.toString());
  }

  /** As after a restart of the process that the dispatcher has not heard of. */
  forgetFunctions(): void {
    this.bodies.clear();
  }

  hasFunction(functionId: string): boolean {
    return this.bodies.has(functionId);
  }

  functionIds(): string[] {
    return [...this.bodies.keys()];
  }

  run(orders: TaskOrder[]): void {
    this.waiting.push(...orders);
    this.fill();
  }

  abort(task: TaskRef): void {
    this.aborted.push({ taskId: task.taskId, fence: task.fence });
    this.waiting = this.waiting.filter(({ taskId, fence }) => taskId !== task.taskId || fence !== task.fence);
    if (this.running.get(task.taskId)?.fence === task.fence) this.running.delete(task.taskId);
    this.fill();
  }

  takeBack(limit: number, among?: ReadonlySet<string>): TaskOrder[] {
    const asked = this.waiting.filter(({ taskId }) => among?.has(taskId) ?? true);
    const taken = new Set(asked.slice(Math.max(0, asked.length - limit)));
    this.waiting = this.waiting.filter((order) => !taken.has(order));
    return [...taken];
  }

  /** What running attempts are said to have printed, as records; set by specs. */
  readonly records = new Map<string, Buffer>();
  /** Attempts that are followed. */
  readonly followed = new Set<string>();

  follow({ taskId }: TaskRef, followed: boolean): void {
    if (followed) this.followed.add(taskId);
    else this.followed.delete(taskId);
  }

  printed({ taskId, fence }: TaskRef, from: number, limit: number): { bytes: Buffer; length: number } | undefined {
    if (this.running.get(taskId)?.fence !== fence) return undefined;
    const record = this.records.get(taskId) ?? Buffer.alloc(0);
    return { bytes: record.subarray(from, from + limit), length: record.length };
  }

  load(): PoolLoad {
    return { running: this.running.size, queued: this.waiting.length };
  }

  async stop(): Promise<void> {
    await sleep(0);
    this.stopped = true;
    this.waiting = [];
    this.running.clear();
  }

  /** Ends calls of `hang`: those of the tasks, or all. */
  finish(...taskIds: string[]): void {
    for (const order of [...this.running.values()]) {
      if (taskIds.length === 0 || taskIds.includes(order.taskId)) this.end(order, 'completed');
    }
  }

  isRunning(taskId: string): boolean {
    return this.running.has(taskId);
  }

  private fill(): void {
    while (!this.stopped && this.running.size < this.slots) {
      const order = this.waiting.shift();
      if (!order) return;
      this.starts.push({ taskId: order.taskId, fence: order.fence });
      this.running.set(order.taskId, order);
      const body = this.bodies.get(order.functionId);
      if (body === 'hang') continue;
      const outcome = body === 'raise' ? 'failed' : body === 'crash' ? 'interrupted' : 'completed';
      setImmediate(() => this.end(order, outcome));
    }
  }

  private end(order: TaskOrder, outcome: TaskResult['outcome']): void {
    if (this.running.get(order.taskId) !== order) return;
    this.running.delete(order.taskId);
    this.onResults([
      {
        taskId: order.taskId,
        fence: order.fence,
        outcome,
        payload: outcome === 'interrupted' ? Buffer.alloc(0) : order.arguments,
        ...(outcome === 'failed' && { failure: { type: 'UserException', message: 'no', exception: 'ValueError' } }),
        ...(outcome === 'interrupted' && { failure: { type: 'ProcessCrashed', message: 'killed', signal: 'SIGKILL' } }),
        startedAtMs: Date.now(),
        runTimeUs: 100,
        peakMemoryKib: 1_000,
        output: Buffer.alloc(0),
        outputTruncated: false,
      },
    ]);
    this.fill();
  }
}
