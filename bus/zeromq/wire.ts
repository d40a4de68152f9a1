import { randomUUID } from 'node:crypto';
import type { Codec } from '../codec.js';
import type { Address, BusStats } from '../bus.js';
import { type BatchLimits, MAX_GATHERED_BYTES } from '../batches.js';
import type { OneWriter } from '../oneWriter.js';

/** What the four ZeroMQ endpoints share: bounds, and how a received frame reaches the handler. */

/** Frames beyond this are refused by ZeroMQ itself: a garbage length prefix must not allocate. */
export const MAX_FRAME_BYTES = 192 * 1024 * 1024;
/** Messages that one peer may have waiting in ZeroMQ's queue. Credit keeps far below it; a peer that reads nothing hits it. */
export const HIGH_WATER_MARK = 1_000;
/** One frame carries at most so many messages, and no further one beyond `MAX_GATHERED_BYTES`. */
const MAX_MESSAGES_PER_FRAME = 256;
/** ZeroMQ goes on sending what it has taken for so long after `close`: with 0 a goodbye would mostly, not always, arrive. */
export const LINGER_MS = 500;
/** What has not been sent so long after `close` is given up. */
const CLOSE_TIMEOUT_MS = 1_000;

/** A new one for each connection: with a reused identity ROUTER would drop the newcomer in silence, or let it take over. */
export const newAddress = (): Address => `w-${randomUUID()}`;

/** How much of what has gathered one frame takes. */
export function frameLimits<Message, Item>(
  codec: Codec<Message>,
  messageOf: (item: Item) => Message,
): BatchLimits<Item> {
  return {
    maxItems: MAX_MESSAGES_PER_FRAME,
    maxBytes: MAX_GATHERED_BYTES,
    sizeOf: (item) => codec.sizeOf(messageOf(item)),
  };
}

/** Waits, for a bounded time, until everything pushed has been sent; what has not is given up. */
export async function sendOff<Item>(writer: OneWriter<Item>, stats: BusStats): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_TIMEOUT_MS)));
  await Promise.race([writer.idle(), timeout]);
  clearTimeout(timer);
  stats.undeliverable += writer.clear().length;
}

/** Who may be heard on a secured wire. */
export interface Gate<Incoming> {
  admitsPeer(from: Address): boolean;
  admits(message: Incoming, from: Address): boolean;
}

export class Receiver<Incoming> {
  private closed = false;
  private handler: ((message: Incoming, from: Address) => void) | undefined;

  constructor(
    private readonly codec: Codec<Incoming>,
    private readonly stats: BusStats,
    private readonly onError: (error: unknown) => void,
    private readonly gate?: Gate<Incoming>,
  ) {}

  listen(handler: (message: Incoming, from: Address) => void): void {
    this.handler = handler;
  }

  receive(frame: Uint8Array, from: Address, ...binaries: Buffer[]): void {
    if (this.isClosed()) return;
    if (this.gate?.admitsPeer(from) === false) {
      this.stats.dropped++; // The gate has said why.
      return;
    }
    const messages = this.codec.decode(frame, ...binaries);
    if (!messages) {
      this.drop(`a frame of ${frame.length} bytes from ${from} that is no message`);
      return;
    }
    for (const message of messages) {
      if (this.isClosed()) return;
      if (this.gate?.admits(message, from) === false) {
        this.stats.dropped++;
        continue;
      }
      this.stats.received++;
      try {
        this.handler?.(message, from);
      } catch (error) {
        this.onError(error);
      }
    }
  }

  /** From now on no handler is called. */
  close(): void {
    this.closed = true;
  }

  /** Counts garbage; only the first is logged, a flood of it must not become a flood of log lines. */
  drop(what: string): void {
    if (this.stats.dropped++ === 0) this.onError(new Error(`dropped ${what}`));
  }

  /** A handler may have closed the bus that called it. */
  private isClosed(): boolean {
    return this.closed;
  }
}

/** Joins messages into one item per peer, in order. */
export function byPeer<Message>(items: { to: Address; message: Message }[]): Map<Address, Message[]> {
  const peers = new Map<Address, Message[]>();
  for (const { to, message } of items) {
    const messages = peers.get(to);
    if (messages) messages.push(message);
    else peers.set(to, [message]);
  }
  return peers;
}
