/** Who or what a message is for: the address of one endpoint, or on a broadcasting carrier a topic. */
export type Address = string;

/** The dispatcher's address on the worker wires; a worker's endpoint has no other peer. */
export const DISPATCHER: Address = 'dispatcher';

/**
 * One endpoint of a message bus: what every actor speaks through, whatever carries it.
 *
 * What every carrier promises, and one spec holds all of them to:
 * - `send` neither blocks nor throws for the sake of a peer. What gathers while an earlier send is in flight goes out together.
 * - Messages from one endpoint to another arrive in the order they were sent, each at most once. They may be lost (a peer that
 *   died, a full queue, a broken connection): whoever needs an answer asks again.
 * - The handler is called one message at a time and may send; an error it throws is reported and the loop lives.
 * - What is not a message of this bus (garbage, foreign protocols) is counted in `stats.dropped`, logged once, and dropped.
 * - `close` is idempotent and bounded; afterwards nothing is sent and no handler is called.
 */
export interface Bus<Incoming, Outgoing> {
  /** What the peers see as `from`. */
  readonly address: Address;
  readonly stats: BusStats;
  send(to: Address, message: Outgoing): void;
  /** Set once, before the first message can arrive. */
  listen(handler: (message: Incoming, from: Address) => void): void;
  close(): Promise<void>;
}

export interface BusStats {
  sent: number;
  received: number;
  /** Not decodable, not a message, or of an unknown type. */
  dropped: number;
  /** Could not be delivered: the peer is unknown or gone. */
  undeliverable: number;
}

export const newBusStats = (): BusStats => ({ sent: 0, received: 0, dropped: 0, undeliverable: 0 });
