import { Request } from 'zeromq';
import { type Address, type Bus, type BusStats, DISPATCHER, newBusStats } from '../bus.js';
import { batchLength, type BatchLimits } from '../batches.js';
import { OneWriter } from '../oneWriter.js';
import type { ConnectOptions, RouterOptions } from './pushBus.js';
import { receiveIntoOwnMemory } from './ownMemory.js';
import { Routers } from './routers.js';
import { curveClient, watchHandshakes, workerAddress } from './security/routerSecurity.js';
import { frameLimits, MAX_FRAME_BYTES, newAddress, Receiver, sendOff } from './wire.js';

/**
 * Pull mode: REQ on the worker's side, ROUTER on the dispatcher's. The worker has two REQ sockets under one address: one asks
 * (`F`, fetch) and its request is parked until there is something for it; one tells (`S`, send) and is answered at once.
 * Nothing is asked twice: an idle worker sends a request every few seconds, and work reaches it in one message.
 *
 * A worker that has just been given work asks for more with what it has to tell next, in one message, unless that takes more than a moment: so
 * a short task costs two messages, not four.
 *
 * Frames of a request: kind, address, body: a batch of messages, empty where nothing is told. Frame of a reply: the same. Large binaries of
 * messages are frames behind them.
 */
const FETCH = 'F';
const SEND = 'S';
const NOTHING = Buffer.alloc(0);

/** A parked request is answered with nothing after this, so that a worker knows a living dispatcher from a dead one. */
const PARK_MS = 5_000;
/** A request that is not answered within this is given up and its socket replaced (Lazy Pirate). */
const REPLY_TIMEOUT_MS = 10_000;
const SEND_TIMEOUT_MS = 3_000;
/** So soon a worker that was given work asks for more, or sooner, with the first result. */
const ASK_WITHIN_MS = 1;
const RECONNECT_MS = 100;
/** What waits for a worker that has not asked for so long is dropped. */
const FORGET_MS = 30_000;
const SWEEP_MS = 1_000;
const MAX_WAITING_MESSAGES = 10_000;

interface Mailbox<Outgoing> {
  waiting: Outgoing[];
  /** Identity of the parked request's connection. */
  parked: Buffer | undefined;
  parkedAtMs: number;
  seenAtMs: number;
}

/** What waits in the mailbox, or nothing, for the request that came from this connection. */
interface Reply<Outgoing> {
  identity: Buffer;
  mailbox?: Mailbox<Outgoing>;
}

export class PullRouterBus<Incoming, Outgoing> implements Bus<Incoming, Outgoing> {
  readonly address = DISPATCHER;
  readonly stats: BusStats = newBusStats();
  private closed = false;
  private readonly mailboxes = new Map<Address, Mailbox<Outgoing>>();
  private readonly receiver: Receiver<Incoming>;
  private readonly writer: OneWriter<Reply<Outgoing>>;
  private readonly limits: BatchLimits<Outgoing>;
  private readonly sweeper: NodeJS.Timeout;

  private constructor(
    private readonly options: RouterOptions<Incoming, Outgoing>,
    /** Where it listens. */
    readonly routers: Routers,
  ) {
    this.receiver = new Receiver(options.incoming, this.stats, options.onError, options.security?.gate);
    this.limits = frameLimits(options.outgoing, (message: Outgoing) => message);
    this.writer = new OneWriter((batch) => this.flush(batch), { maxItems: 1, onError: options.onError });
    this.sweeper = setInterval(() => {
      this.sweep();
    }, SWEEP_MS);
  }

  /** @throws when the endpoint (`tcp://host:port`, port `*` for a free one) cannot be bound. */
  static async bind<In, Out>(endpoint: string, options: RouterOptions<In, Out>): Promise<PullRouterBus<In, Out>> {
    const bus = new PullRouterBus<In, Out>(options, await Routers.bind(endpoint, options.security));
    bus.routers.listen((frames) => bus.hear(frames));
    return bus;
  }

  get endpoint(): string {
    return this.routers.endpoint;
  }

  send(to: Address, message: Outgoing): void {
    if (this.closed) return;
    const mailbox = this.mailboxes.get(to);
    if (!mailbox || mailbox.waiting.length >= MAX_WAITING_MESSAGES) {
      this.stats.undeliverable++;
      return;
    }
    mailbox.waiting.push(message);
    this.answer(mailbox);
  }

  listen(handler: (message: Incoming, from: Address) => void): void {
    this.receiver.listen(handler);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.sweeper);
    this.receiver.close();
    await sendOff(this.writer, this.stats);
    for (const { waiting } of this.mailboxes.values()) this.stats.undeliverable += waiting.length;
    this.routers.close();
  }

  private hear([identity, delimiter, kind, address, body, ...binaries]: Buffer[]): void {
    const isRequest = identity && delimiter?.length === 0 && kind && address?.length && body;
    const verb = kind?.toString('latin1');
    if (!isRequest || (verb !== FETCH && verb !== SEND)) {
      this.receiver.drop('a message that is no request of a pull worker');
      return;
    }
    const from = address.toString('latin1');
    if (this.options.security?.gate.admitsPeer(from) === false) {
      this.stats.dropped++;
      return;
    }
    const mailbox = this.mailboxOf(from);
    if (body.length > 0 || verb === SEND) this.receiver.receive(body, from, ...binaries);
    if (verb === FETCH) {
      mailbox.parked = identity;
      mailbox.parkedAtMs = performance.now();
      this.answer(mailbox);
    } else this.writer.push({ identity });
  }

  private mailboxOf(address: Address): Mailbox<Outgoing> {
    const now = performance.now();
    const known = this.mailboxes.get(address);
    if (known) {
      known.seenAtMs = now;
      return known;
    }
    const mailbox = { waiting: [], parked: undefined, parkedAtMs: now, seenAtMs: now };
    this.mailboxes.set(address, mailbox);
    return mailbox;
  }

  /** Answers a parked request with all that waits; taken as late as possible, so that more can join. */
  private answer(mailbox: Mailbox<Outgoing>): void {
    const identity = mailbox.parked;
    if (!identity || mailbox.waiting.length === 0) return;
    mailbox.parked = undefined;
    this.writer.push({ identity, mailbox });
  }

  private async flush(batch: Reply<Outgoing>[]): Promise<void> {
    for (const { identity, mailbox } of batch) {
      const messages = mailbox?.waiting.splice(0, batchLength(mailbox.waiting, this.limits)) ?? [];
      const body = messages.length > 0 ? this.options.outgoing.encode(messages) : [NOTHING];
      try {
        await this.routers.send([identity, NOTHING, ...body]);
        this.stats.sent += messages.length;
      } catch {
        // The requester has given up and comes back, or has come back, under a new identity: what was for it waits on.
        if (!mailbox) continue;
        mailbox.waiting.unshift(...messages);
        this.answer(mailbox);
      }
    }
  }

  private sweep(): void {
    const now = performance.now();
    for (const [address, mailbox] of this.mailboxes) {
      if (mailbox.parked && now - mailbox.parkedAtMs > PARK_MS) {
        const identity = mailbox.parked;
        mailbox.parked = undefined;
        this.writer.push({ identity });
      } else if (!mailbox.parked && now - mailbox.seenAtMs > FORGET_MS) {
        this.stats.undeliverable += mailbox.waiting.length;
        this.mailboxes.delete(address);
      }
    }
  }
}

export interface PullOptions<Incoming, Outgoing> extends ConnectOptions<Incoming, Outgoing> {
  /** Whether there will be something to tell of it, maybe soon. Default: never. */
  isWork?: (message: Incoming) => boolean;
}

/** A worker's end in pull mode. Its only peer is the dispatcher at `url`. */
export class PullRequestBus<Incoming, Outgoing> implements Bus<Incoming, Outgoing> {
  readonly address: Address;
  readonly stats: BusStats = newBusStats();
  private closed = false;
  private readonly receiver: Receiver<Incoming>;
  private readonly writer: OneWriter<Outgoing>;
  private readonly fetching: Promise<void>;
  private fetcher: Request;
  private teller: Request;
  /** The teller waits for an answer. */
  private telling = false;
  /** Messages since it asked last that were work. */
  private workGiven = 0;
  /** While the next fetch waits for something to tell: takes it along. */
  private takeAlong: ((batch: Outgoing[]) => void) | undefined;

  constructor(private readonly options: PullOptions<Incoming, Outgoing>) {
    this.address = options.security ? workerAddress(options.security) : newAddress();
    this.receiver = new Receiver(options.incoming, this.stats, options.onError);
    const limits = frameLimits(options.outgoing, (message: Outgoing) => message);
    this.writer = new OneWriter((batch) => this.tell(batch), { ...limits, onError: options.onError });
    this.fetcher = this.connect(REPLY_TIMEOUT_MS);
    this.teller = this.connect(SEND_TIMEOUT_MS);
    this.fetching = this.fetch();
  }

  send(_to: Address, message: Outgoing): void {
    if (!this.closed) this.writer.push(message);
  }

  listen(handler: (message: Incoming, from: Address) => void): void {
    this.receiver.listen((message, from) => {
      if (this.options.isWork?.(message)) this.workGiven++;
      handler(message, from);
    });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.receiver.close();
    await sendOff(this.writer, this.stats);
    this.takeAlong?.([]);
    this.fetcher.close();
    this.teller.close();
    await this.fetching;
  }

  private connect(receiveTimeoutMs: number): Request {
    const { security } = this.options;
    const socket = new Request({
      immediate: true,
      receiveTimeout: receiveTimeoutMs,
      sendTimeout: 1_000,
      maxMessageSize: MAX_FRAME_BYTES,
      reconnectInterval: RECONNECT_MS,
      reconnectMaxInterval: 1_000,
      linger: 0,
      ...(security && curveClient(security)),
    });
    if (security?.onRefused) watchHandshakes(socket, security.onRefused);
    // With its connection a request is lost, so it is given up at once: the next dispatcher has to hear of one.
    socket.events.on('disconnect', () => {
      if (socket === this.fetcher || this.telling) socket.close();
    });
    socket.connect(this.options.url);
    return socket;
  }

  private async fetch(): Promise<void> {
    await receiveIntoOwnMemory();
    let batch: Outgoing[] = [];
    while (!this.closed || batch.length > 0) {
      try {
        const frames = batch.length > 0 ? this.options.outgoing.encode(batch) : [NOTHING];
        await this.fetcher.send([FETCH, this.address, ...frames]);
        this.stats.sent += batch.length;
        batch = [];
        const [reply, ...binaries] = await this.fetcher.receive();
        if (!reply?.length) continue;
        this.workGiven = 0;
        this.receiver.receive(reply, DISPATCHER, ...binaries);
        if (this.workGiven > 0) batch = await this.somethingToTell();
      } catch {
        this.stats.undeliverable += batch.length;
        batch = [];
        // No answer: the dispatcher is away. A REQ that waits for a reply cannot ask again, so a new one takes its place.
        if (this.isClosed()) return;
        this.fetcher.close();
        // What is at the other end may hang up on everybody at once.
        await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
        if (this.isClosed()) return;
        this.fetcher = this.connect(REPLY_TIMEOUT_MS);
      }
    }
  }

  /** What is told next, or nothing when nothing is soon. */
  private async somethingToTell(): Promise<Outgoing[]> {
    return new Promise((resolve) => {
      const take = (batch: Outgoing[]): void => {
        clearTimeout(timer);
        this.takeAlong = undefined;
        resolve(batch);
      };
      const timer = setTimeout(take, ASK_WITHIN_MS, []);
      this.takeAlong = take;
    });
  }

  private async tell(batch: Outgoing[]): Promise<void> {
    await receiveIntoOwnMemory();
    // What is told in closing must have arrived: that is known of an answer alone.
    if (this.takeAlong && !this.isClosed()) {
      this.takeAlong(batch);
      return;
    }
    this.telling = true;
    try {
      await this.teller.send([SEND, this.address, ...this.options.outgoing.encode(batch)]);
      await this.teller.receive();
      this.stats.sent += batch.length;
    } catch {
      this.stats.undeliverable += batch.length;
      this.teller.close();
      if (!this.isClosed()) this.teller = this.connect(SEND_TIMEOUT_MS);
    }
    this.telling = false;
  }

  /** `close` may have been called while a socket was waited for. */
  private isClosed(): boolean {
    return this.closed;
  }
}
