import { Router } from 'zeromq';
import type { CurveKeys } from './security/curveKeys.js';
import { receiveIntoOwnMemory } from './ownMemory.js';
import {
  curveServer,
  type RouterSecurity,
  type SecuredContext,
  securedContext,
  watchHandshakes,
} from './security/routerSecurity.js';
import { HIGH_WATER_MARK, LINGER_MS, MAX_FRAME_BYTES } from './wire.js';

const OPTIONS = {
  // Unroutable messages are reported, not swallowed; a peer whose queue is full is skipped at once, not waited for.
  mandatory: true,
  sendTimeout: 0,
  sendHighWaterMark: HIGH_WATER_MARK,
  maxMessageSize: MAX_FRAME_BYTES,
  linger: LINGER_MS,
} as const;

type OnFrames = (frames: Buffer[]) => void;

/**
 * The dispatcher's end: a ROUTER for each endpoint it listens at, usually one; with security a CURVE server, each with a key of its own. Whoever
 * reads and sends sees them as one.
 *
 * No socket is bound or unbound while it is in use: zeromq.js does that in another thread, and whoever reads meanwhile gets an error.
 */
export class Routers {
  private readonly sockets = new Map<string, Router>();
  private onFrames: OnFrames | undefined;

  private constructor(
    private readonly secured: SecuredContext | undefined,
    private readonly onRefused: ((what: string) => void) | undefined,
  ) {}

  /** @throws when the endpoint (`tcp://host:port`, port `*` for a free one) cannot be bound. */
  static async bind<Incoming>(endpoint: string, security?: RouterSecurity<Incoming>): Promise<Routers> {
    await receiveIntoOwnMemory();
    const secured = security && (await securedContext(security));
    const routers = new Routers(secured, security?.onRefused);
    try {
      await routers.listenAlso(endpoint, security?.keys);
    } catch (error) {
      routers.close();
      throw error;
    }
    return routers;
  }

  /** The first it listens at; empty when it is closed. */
  get endpoint(): string {
    const [first = ''] = this.sockets.keys();
    return first;
  }

  /** From now on all that comes is heard, by this one alone. */
  listen(onFrames: OnFrames): void {
    this.onFrames = onFrames;
    for (const socket of this.sockets.values()) void this.read(socket);
  }

  /** The first frame is the identity of the connection. @throws when it is not there, or takes no more */
  async send(frames: (Buffer | Uint8Array)[]): Promise<void> {
    let failure: unknown = new Error('closed');
    for (const socket of this.sockets.values()) {
      try {
        await socket.send(frames);
        return;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /** Listens at one more endpoint, where workers may expect another key. Returns the endpoint with its port. */
  async listenAlso(endpoint: string, keys: CurveKeys | undefined): Promise<string> {
    const socket = new Router({ ...OPTIONS, ...(this.secured && keys && curveServer(this.secured.context, keys)) });
    if (this.onRefused) watchHandshakes(socket, this.onRefused);
    try {
      await socket.bind(endpoint);
    } catch (error) {
      socket.close();
      throw error;
    }
    const bound = socket.lastEndpoint ?? endpoint;
    this.sockets.set(bound, socket);
    if (this.onFrames) void this.read(socket);
    return bound;
  }

  /** Listens there no more, and cuts the connections that were made there. */
  stopListening(endpoint: string): void {
    this.sockets.get(endpoint)?.close();
    this.sockets.delete(endpoint);
  }

  close(): void {
    for (const endpoint of [...this.sockets.keys()]) this.stopListening(endpoint);
    this.secured?.close();
  }

  private async read(socket: Router): Promise<void> {
    for await (const frames of socket) this.onFrames?.(frames);
  }
}
