import { batchLength, type BatchLimits } from './batches.js';

/**
 * One writer per wire: sends what has gathered while its previous send was in flight, and never waits on a timer. At low load
 * every item leaves at once, alone; at high load batches form by themselves. Every hop of a task's way has one of these.
 *
 * States: idle (nothing pending, nothing in flight) -> flushing (one batch in flight, later items gather) -> idle. Only `run`
 * moves between them. An item pushed while idle is flushed in the same turn of the event loop, after the current synchronous
 * work, so that what one event produces travels together.
 */
export interface OneWriterOptions<T> extends BatchLimits<T> {
  /** A flush that rejects; its items are the flush's own business. Must not throw. */
  onError: (error: unknown) => void;
}

export class OneWriter<T> {
  private pending: T[] = [];
  private flushing = false;
  private idleWaiters: (() => void)[] = [];

  constructor(
    private readonly flush: (batch: T[]) => Promise<void> | void,
    private readonly options: OneWriterOptions<T>,
  ) {}

  /** Items not yet handed to `flush`. */
  get size(): number {
    return this.pending.length;
  }

  push(item: T): void {
    this.pending.push(item);
    if (this.flushing) return;
    this.flushing = true;
    queueMicrotask(() => void this.run());
  }

  /** Takes back what has not been handed to `flush`. */
  clear(): T[] {
    const items = this.pending;
    this.pending = [];
    return items;
  }

  /** Resolves when everything pushed so far has been flushed. */
  idle(): Promise<void> {
    if (!this.flushing) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  private async run(): Promise<void> {
    while (this.pending.length > 0) {
      try {
        await this.flush(this.nextBatch());
      } catch (error) {
        this.options.onError(error);
      }
    }
    this.flushing = false;
    for (const resolve of this.idleWaiters.splice(0)) resolve();
  }

  private nextBatch(): T[] {
    const count = batchLength(this.pending, this.options);
    if (count === this.pending.length) return this.clear();
    return this.pending.splice(0, count);
  }
}
