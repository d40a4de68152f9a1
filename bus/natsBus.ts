import {
  type Authenticator,
  connect,
  credsAuthenticator,
  Events,
  headers,
  type Msg,
  type NatsConnection,
  nkeyAuthenticator,
  type PublishOptions,
  tokenAuthenticator,
} from 'nats';
import { type Address, type Bus, type BusStats, newBusStats } from './bus.js';
import { decodeControl, encodeControl } from './controlCodec.js';
import type { ControlMessage, ControlTopic } from './controlMessages.js';
import type { EventSeal } from './eventSeal.js';
import type { DependencyEvents } from './redis/connection.js';

/** All subjects of the platform begin so, and one NATS can serve others as well. */
export const SUBJECT_PREFIX = 'mpcsfaas.';
const SEAL_HEADER = 'Seal';
/**
 * Results, output and metrics go to clients as they are, workers go where they are told that a dispatcher is, and drain when they are
 * told to; who asks for metrics makes every process work.
 */
const SEALED: readonly ControlTopic[] = [
  'tasks.settled',
  'task.output',
  'component.heartbeat',
  'worker.drain',
  'dispatcher.drain',
  'metrics.asked',
  'metrics.report',
];
const RECONNECT_DELAY_MS = 250;
const CLOSE_TIMEOUT_MS = 1_000;

/** How one shows NATS who one is, and whom one trusts. */
export interface NatsAccess {
  /** Seed of an nkey, asked for at each connection. */
  readonly nkey?: () => string;
  /** Content of a credentials file. */
  readonly credentials?: string;
  readonly token?: string;
  /** PEM of the authority that signs for the server. */
  readonly ca?: string;
}

export interface NatsBusOptions {
  url: string;
  access?: NatsAccess;
  address: Address;
  topics: readonly ControlTopic[];
  events: DependencyEvents;
  /** What nobody checks against Redis is believed only under this seal; without one all is. */
  seal?: EventSeal;
  onError: (error: unknown) => void;
}

/**
 * The NATS carrier: broadcasts control events by topic. While NATS is away events are dropped, not kept: nothing needs one to be
 * correct, and an old nudge is worth nothing. It connects and reconnects by itself, for ever.
 */
export class NatsBus implements Bus<ControlMessage, ControlMessage> {
  readonly stats: BusStats = newBusStats();
  readonly address: Address;
  private connection: NatsConnection | undefined;
  /** The server has answered for all subscriptions. */
  private subscribed = false;
  private away = false;
  private closed = false;
  private handler: ((message: ControlMessage, from: Address) => void) | undefined;
  private connecting: Promise<void>;

  constructor(private readonly options: NatsBusOptions) {
    this.address = options.address;
    this.connecting = this.connect();
  }

  get connected(): boolean {
    return this.subscribed && !this.away;
  }

  send(topic: Address, message: ControlMessage): void {
    if (this.closed) return;
    if (!this.connection || this.away) {
      this.stats.undeliverable++;
      return;
    }
    try {
      const event = encodeControl(this.address, message);
      this.connection.publish(SUBJECT_PREFIX + topic, event, this.sealed(message, event));
      this.stats.sent++;
    } catch (error) {
      // Larger than the server takes, or the connection is being closed: nothing needs an event to arrive.
      if (this.stats.undeliverable++ === 0) this.options.onError(error);
    }
  }

  listen(handler: (message: ControlMessage, from: Address) => void): void {
    this.handler = handler;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const flushed = this.connection?.flush().catch(() => undefined);
    if (!this.away) await withinCloseTimeout(flushed);
    await this.connection?.close();
    // An attempt to connect, or a first answer of a server that is silent, may take longer; it finds the bus closed then.
    await withinCloseTimeout(this.connecting);
  }

  private async connect(): Promise<void> {
    while (!this.closed) {
      try {
        const connection = await connect({
          servers: this.options.url.split(','),
          name: `mpcsfaas ${this.address}`,
          noEcho: true,
          maxReconnectAttempts: -1,
          reconnectTimeWait: RECONNECT_DELAY_MS,
          pingInterval: 5_000,
          maxPingOut: 2,
          timeout: 3_000,
          ...accessOptions(this.options.access),
        });
        await this.adopt(connection).catch(async (error: unknown) => {
          // Else it would reconnect by itself, beside the one that is tried next.
          await connection.close();
          throw error;
        });
        return;
      } catch (error) {
        if (!this.away) this.options.events.lost(error instanceof Error ? error.message : String(error));
        this.away = true;
        await new Promise((resolve) => setTimeout(resolve, RECONNECT_DELAY_MS));
      }
    }
  }

  private async adopt(connection: NatsConnection): Promise<void> {
    if (this.closed) {
      await connection.close();
      return;
    }
    this.connection = connection;
    for (const topic of this.options.topics) {
      connection.subscribe(SUBJECT_PREFIX + topic, {
        callback: (error, message) => {
          if (error === null) this.receive(message);
          else this.options.onError(error);
        },
      });
    }
    if (!(await isSubscribed(connection))) throw new Error('the connection was lost again');
    this.subscribed = true;
    if (this.away) this.options.events.restored();
    this.away = false;
    void this.watch(connection);
    void this.replaceAtEnd(connection);
  }

  private async watch(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (this.closed || this.connection !== connection) return;
      if (type === Events.Disconnect && !this.away) {
        this.away = true;
        this.options.events.lost('connection closed');
      } else if (type === Events.Reconnect && this.away && (await isSubscribed(connection))) {
        this.away = false;
        this.options.events.restored();
      }
    }
  }

  /**
   * A connection does not go on for ever: it ends for good when its server has refused our credentials twice, however long ago the first
   * time was, or when they cannot be read. That need not last: keys are rotated, and mistakes put right.
   */
  private async replaceAtEnd(connection: NatsConnection): Promise<void> {
    const reason = await connection.closed();
    if (this.closed) return;
    this.connection = undefined;
    if (!this.away) this.options.events.lost('connection closed');
    this.away = true;
    if (reason) this.options.onError(reason);
    this.connecting = this.connect();
  }

  private receive(message: Msg): void {
    if (this.closed) return;
    const decoded = decodeControl(message.data);
    if (!decoded || SUBJECT_PREFIX + decoded.message.type !== message.subject) {
      // Logged once: a flood of garbage must not become a flood of log lines.
      if (this.stats.dropped++ === 0) {
        this.options.onError(
          new Error(`dropped what is not a control event on ${message.subject} (${message.data.length} bytes)`),
        );
      }
      return;
    }
    const believed = this.believable(decoded.message, message);
    if (!believed) {
      this.stats.dropped++;
      return;
    }
    this.stats.received++;
    try {
      this.handler?.(believed, decoded.from);
    } catch (error) {
      this.options.onError(error);
    }
  }

  private sealed(message: ControlMessage, event: Uint8Array): PublishOptions {
    const seal = SEALED.includes(message.type) ? this.options.seal?.of(event) : undefined;
    if (seal === undefined) return {};
    const options = { headers: headers() };
    options.headers.set(SEAL_HEADER, seal);
    return options;
  }

  /** What may be forged: results are left out of the event, and so read from Redis; other events that need a seal are dropped. */
  private believable(message: ControlMessage, event: Msg): ControlMessage | undefined {
    const { seal } = this.options;
    if (!seal || !SEALED.includes(message.type)) return message;
    if (seal.isGenuine(event.data, event.headers?.get(SEAL_HEADER) ?? '')) return message;
    if (message.type !== 'tasks.settled') return undefined;
    return { type: message.type, tasks: message.tasks.map(({ taskId, state }) => ({ taskId, state, isHint: true })) };
  }
}

function accessOptions(access: NatsAccess = {}): { authenticator?: Authenticator[]; tls?: { ca: string } } {
  const { nkey, credentials, token, ca } = access;
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const authenticator = [
    ...(nkey ? [nkeyAuthenticator(() => bytes(nkey()))] : []),
    ...(credentials === undefined ? [] : [credsAuthenticator(bytes(credentials))]),
    ...(token === undefined ? [] : [tokenAuthenticator(token)]),
  ];
  return { ...(authenticator.length > 0 && { authenticator }), ...(ca !== undefined && { tls: { ca } }) };
}

/** Subscriptions are active once the server has answered: a component that says it is ready hears everything. False when it is gone before. */
const isSubscribed = (connection: NatsConnection): Promise<boolean> =>
  Promise.race([
    connection.flush().then(
      () => true,
      () => false,
    ),
    // A connection that ends for good may leave the question without an answer.
    connection.closed().then(() => false),
  ]);

async function withinCloseTimeout(step: Promise<void> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_TIMEOUT_MS)));
  await Promise.race([step, timeout]);
  clearTimeout(timer);
}
