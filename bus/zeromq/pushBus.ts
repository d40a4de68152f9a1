import { Dealer } from 'zeromq';
import { type Address, type Bus, type BusStats, DISPATCHER, newBusStats } from '../bus.js';
import type { Codec } from '../codec.js';
import { OneWriter } from '../oneWriter.js';
import { receiveIntoOwnMemory } from './ownMemory.js';
import { Routers } from './routers.js';
import {
  curveClient,
  type RouterSecurity,
  watchHandshakes,
  workerAddress,
  type WorkerSecurity,
} from './security/routerSecurity.js';
import {
  byPeer,
  frameLimits,
  HIGH_WATER_MARK,
  LINGER_MS,
  MAX_FRAME_BYTES,
  newAddress,
  Receiver,
  sendOff,
} from './wire.js';

export interface WireOptions<Incoming, Outgoing> {
  incoming: Codec<Incoming>;
  outgoing: Codec<Outgoing>;
  onError: (error: unknown) => void;
}

export interface RouterOptions<Incoming, Outgoing> extends WireOptions<Incoming, Outgoing> {
  /** Without it whoever connects is heard. */
  security?: RouterSecurity<Incoming>;
}

/**
 * The dispatcher's end in push mode: a ROUTER that any number of DEALERs connect to. Peers are known by the identity of their
 * connection; whoever spoke can be answered.
 */
export class PushRouterBus<Incoming, Outgoing> implements Bus<Incoming, Outgoing> {
  readonly address = DISPATCHER;
  readonly stats: BusStats = newBusStats();
  private closed = false;
  private readonly receiver: Receiver<Incoming>;
  private readonly writer: OneWriter<{ to: Address; message: Outgoing }>;

  private constructor(
    private readonly options: RouterOptions<Incoming, Outgoing>,
    /** Where it listens. */
    readonly routers: Routers,
  ) {
    this.receiver = new Receiver(options.incoming, this.stats, options.onError, options.security?.gate);
    const limits = frameLimits(options.outgoing, ({ message }: { to: Address; message: Outgoing }) => message);
    this.writer = new OneWriter((batch) => this.flush(batch), { ...limits, onError: options.onError });
  }

  /** @throws when the endpoint (`tcp://host:port`, port `*` for a free one) cannot be bound. */
  static async bind<In, Out>(endpoint: string, options: RouterOptions<In, Out>): Promise<PushRouterBus<In, Out>> {
    const bus = new PushRouterBus<In, Out>(options, await Routers.bind(endpoint, options.security));
    bus.routers.listen((frames) => bus.hear(frames));
    return bus;
  }

  get endpoint(): string {
    return this.routers.endpoint;
  }

  send(to: Address, message: Outgoing): void {
    if (!this.closed) this.writer.push({ to, message });
  }

  listen(handler: (message: Incoming, from: Address) => void): void {
    this.receiver.listen(handler);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.receiver.close();
    await sendOff(this.writer, this.stats);
    this.routers.close();
  }

  private hear([identity, frame, ...binaries]: Buffer[]): void {
    if (!identity || !frame) this.receiver.drop('a message that is not identity and frame');
    else this.receiver.receive(frame, identity.toString('latin1'), ...binaries);
  }

  private async flush(batch: { to: Address; message: Outgoing }[]): Promise<void> {
    for (const [to, messages] of byPeer(batch)) {
      try {
        await this.routers.send([Buffer.from(to, 'latin1'), ...this.options.outgoing.encode(messages)]);
        this.stats.sent += messages.length;
      } catch {
        this.stats.undeliverable += messages.length; // EHOSTUNREACH: gone; EAGAIN: its queue is full.
      }
    }
  }
}

export interface ConnectOptions<Incoming, Outgoing> extends WireOptions<Incoming, Outgoing> {
  /** `tcp://host:port` of the dispatcher. */
  url: string;
  /** For a dispatcher that has it. */
  security?: WorkerSecurity;
}

/** A worker's end in push mode: a DEALER. Its only peer is the dispatcher at `url`; ZeroMQ reconnects by itself. */
export class PushDealerBus<Incoming, Outgoing> implements Bus<Incoming, Outgoing> {
  readonly address: Address;
  readonly stats: BusStats = newBusStats();
  private closed = false;
  private readonly receiver: Receiver<Incoming>;
  private readonly writer: OneWriter<Outgoing>;
  private readonly socket: Dealer;

  constructor(private readonly options: ConnectOptions<Incoming, Outgoing>) {
    const { security } = options;
    this.address = security ? workerAddress(security) : newAddress();
    this.receiver = new Receiver(options.incoming, this.stats, options.onError);
    const limits = frameLimits(options.outgoing, (message: Outgoing) => message);
    this.writer = new OneWriter((batch) => this.flush(batch), { ...limits, onError: options.onError });
    this.socket = new Dealer({
      routingId: this.address,
      // While the dispatcher is away nothing is sent into the void: what matters is repeated once it has said welcome.
      immediate: true,
      sendTimeout: 1_000,
      sendHighWaterMark: HIGH_WATER_MARK,
      maxMessageSize: MAX_FRAME_BYTES,
      reconnectInterval: 100,
      reconnectMaxInterval: 1_000,
      linger: LINGER_MS,
      ...(security && curveClient(security)),
    });
    if (security?.onRefused) watchHandshakes(this.socket, security.onRefused);
    this.socket.connect(options.url);
    void this.read();
  }

  send(_to: Address, message: Outgoing): void {
    if (!this.closed) this.writer.push(message);
  }

  listen(handler: (message: Incoming, from: Address) => void): void {
    this.receiver.listen(handler);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.receiver.close();
    await sendOff(this.writer, this.stats);
    this.socket.close();
  }

  private async read(): Promise<void> {
    await receiveIntoOwnMemory();
    for await (const [frame, ...binaries] of this.socket) {
      if (frame) this.receiver.receive(frame, DISPATCHER, ...binaries);
    }
  }

  private async flush(batch: Outgoing[]): Promise<void> {
    try {
      await this.socket.send(this.options.outgoing.encode(batch));
      this.stats.sent += batch.length;
    } catch {
      this.stats.undeliverable += batch.length; // Not connected within the timeout.
    }
  }
}
