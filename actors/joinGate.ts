import type { Address } from '../bus/bus.js';
import type { WorkerHello, WorkerMessage } from '../bus/messages.js';

/** What a worker may say while it joins; what is beyond that it says again. */
const MAX_WAITING = 1_000;

/**
 * Keeps the order of what a worker says while its hello is being reconciled with the store: the rest waits and is heard after it. A
 * goodbye that overtook its hello would leave a worker in the table that is gone, and be given tasks.
 */
export class JoinGate {
  private readonly waiting = new Map<Address, WorkerMessage[]>();

  constructor(
    private readonly join: (hello: WorkerHello, from: Address) => Promise<void>,
    private readonly deliver: (message: WorkerMessage, from: Address) => void,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** True when the message is a hello, or waits behind one; false when it can be heard now. */
  takes(message: WorkerMessage, from: Address): boolean {
    const waiting = this.waiting.get(from);
    if (waiting) {
      if (waiting.length < MAX_WAITING) waiting.push(message);
      return true;
    }
    if (message.type !== 'hello') return false;
    void this.admit(message, from);
    return true;
  }

  private async admit(hello: WorkerHello, from: Address): Promise<void> {
    const waiting: WorkerMessage[] = [];
    this.waiting.set(from, waiting);
    try {
      await this.join(hello, from);
    } catch (error) {
      this.onError(error); // The store is away; the worker says hello again.
    }
    this.waiting.delete(from);
    const last = waiting.findLastIndex(({ type }) => type === 'hello'); // It says all that earlier ones do.
    const told = waiting.filter(({ type }, index) => type !== 'hello' || index === last);
    for (const message of told) this.deliver(message, from);
  }
}
