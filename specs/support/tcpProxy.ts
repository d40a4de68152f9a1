import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A way to a local port on which things go wrong at will.
 *
 * - `open`: bytes pass, `delayMs` late
 * - `silent`: connections stay and new ones are taken, but nothing passes in either direction: half-open
 * - `closed`: connections are cut, new ones are cut at once
 */
export class TcpProxy {
  delayMs = 0;
  #state: 'open' | 'silent' | 'closed' = 'open';
  readonly #server: Server;
  readonly #pairs = new Set<[Socket, Socket]>();

  private constructor(
    readonly targetPort: number,
    server: Server,
  ) {
    this.#server = server;
    server.on('connection', (client) => this.#join(client));
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const server = createServer();
    const proxy = new TcpProxy(targetPort, server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Lets bytes pass again; connections that were silent have lost nothing. */
  open(): void {
    this.#state = 'open';
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  silence(): void {
    this.#state = 'silent';
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  cut(): void {
    this.#state = 'closed';
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket): void {
    if (this.#state === 'closed') {
      client.destroy();
      return;
    }
    const target = connect(this.targetPort, '127.0.0.1');
    const pair: [Socket, Socket] = [client, target];
    this.#pairs.add(pair);
    for (const [from, to] of [pair, [target, client] as const]) {
      from.on('data', (bytes) => this.#pass(bytes, to));
      // An end that fails takes the other with it, as a broken route would.
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
    if (this.#state === 'silent') for (const socket of pair) socket.pause();
  }

  #pass(bytes: Buffer, to: Socket): void {
    if (this.delayMs === 0) to.write(bytes);
    else setTimeout(() => to.write(bytes), this.delayMs);
  }
}
