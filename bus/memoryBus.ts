import { type Address, type Bus, type BusStats, newBusStats } from './bus.js';

/** One message on its way to one receiver. */
export interface Delivery {
  from: Address;
  /** The receiver's own address, also where the message was sent to a topic. */
  to: Address;
  message: unknown;
}

/** Runs `deliver` later; the default is the next turn of the event loop. The simulator decides otherwise, by its seed. */
export type Scheduler = (deliver: () => void, delivery: Delivery) => void;

/**
 * The in-memory carrier: endpoints of one process, reached by address or by the topics they listen to. Messages are handed over
 * as they are, not copied: sender and receiver must not change them.
 */
export class MemoryHub {
  private readonly endpoints = new Map<Address, Set<MemoryBus>>();

  constructor(
    private readonly onError: (error: unknown) => void,
    private readonly schedule: Scheduler = (deliver) => setImmediate(deliver),
  ) {}

  endpoint<Incoming, Outgoing>(address: Address, topics: readonly Address[] = []): Bus<Incoming, Outgoing> {
    const endpoint = new MemoryBus(this, address, [address, ...topics], this.onError);
    for (const name of endpoint.names) {
      const listeners = this.endpoints.get(name) ?? new Set();
      this.endpoints.set(name, listeners.add(endpoint));
    }
    return endpoint as Bus<unknown, unknown> as Bus<Incoming, Outgoing>;
  }

  deliver(from: MemoryBus, to: Address, message: unknown): boolean {
    const receivers = this.endpoints.get(to);
    if (!receivers?.size) return false;
    for (const receiver of receivers) {
      if (receiver === from) continue;
      this.schedule(() => receiver.receive(message, from.address), {
        from: from.address,
        to: receiver.address,
        message,
      });
    }
    return true;
  }

  remove(endpoint: MemoryBus): void {
    for (const name of endpoint.names) {
      this.endpoints.get(name)?.delete(endpoint);
      if (this.endpoints.get(name)?.size === 0) this.endpoints.delete(name);
    }
  }
}

class MemoryBus implements Bus<unknown, unknown> {
  readonly stats: BusStats = newBusStats();
  private handler: ((message: unknown, from: Address) => void) | undefined;
  private closed = false;

  constructor(
    private readonly hub: MemoryHub,
    readonly address: Address,
    readonly names: Address[],
    private readonly onError: (error: unknown) => void,
  ) {}

  send(to: Address, message: unknown): void {
    if (this.closed) return;
    if (this.hub.deliver(this, to, message)) this.stats.sent++;
    else this.stats.undeliverable++;
  }

  listen(handler: (message: unknown, from: Address) => void): void {
    this.handler = handler;
  }

  receive(message: unknown, from: Address): void {
    if (this.closed || !this.handler) return;
    this.stats.received++;
    try {
      this.handler(message, from);
    } catch (error) {
      this.onError(error);
    }
  }

  close(): Promise<void> {
    this.closed = true;
    this.hub.remove(this);
    return Promise.resolve();
  }
}
