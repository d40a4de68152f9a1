import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** `requests` go to the port, `replies` come from it. */
export type Direction = 'requests' | 'replies';

/** When bytes that contain the text come by in `seenIn`, the direction `pauses` is paused, these bytes included if they go that way. */
export interface Trap {
  text: string;
  seenIn: Direction;
  pauses: Direction;
}

/**
 * A way to a local port on which things go wrong at will.
 *
 * - `open`: bytes pass, `delayMs` late
 * - `silent`: connections stay and new ones are taken, but nothing passes in either direction: half-open
 * - `closed`: connections are cut, new ones are cut at once
 *
 * While it is open, either direction can be paused by itself, also at the very bytes that matter (`pauseAt`). What is paused
 * waits here, and goes with its connection when that ends.
 */
export class TcpProxy {
  delayMs = 0;
  /** What becomes of bytes on their way. */
  onBytes: (direction: Direction, bytes: Buffer) => Buffer = (_, bytes) => bytes;
  readonly #paused = new Set<Direction>();
  #trap: Trap | undefined;
  #state: 'open' | 'silent' | 'closed' = 'open';
  readonly #server: Server;
  readonly #pairs = new Set<[Socket, Socket]>();
  /** Bytes that wait, by the socket they are for. */
  readonly #waiting = new Map<Socket, Buffer[]>();

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
    this.resume('requests');
    this.resume('replies');
  }

  pause(direction: Direction): void {
    this.#paused.add(direction);
  }

  /** Pauses one direction from a moment on that the bytes themselves tell; until `open`, or until `resume` of that direction. */
  pauseAt(trap: Trap): void {
    this.#trap = trap;
  }

  isPaused(direction: Direction): boolean {
    return this.#paused.has(direction);
  }

  /** Lets the direction pass again, what waited first. */
  resume(direction: Direction): void {
    if (this.#trap?.pauses === direction) this.#trap = undefined;
    this.#paused.delete(direction);
    for (const [client, target] of this.#pairs) {
      const to = direction === 'requests' ? target : client;
      for (const bytes of this.#waiting.get(to) ?? []) this.#write(bytes, to);
      this.#waiting.delete(to);
    }
  }

  silence(): void {
    this.#state = 'silent';
    this.forget();
  }

  /** The connections that there are stay, and nothing passes over them any more, as where a NAT has forgotten them; new ones are as before. */
  forget(): void {
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
    const ways = [
      [client, target, 'requests'],
      [target, client, 'replies'],
    ] as const;
    for (const [from, to, direction] of ways) {
      from.on('data', (bytes) => this.#pass(bytes, to, direction));
      // An end that fails takes the other with it, as a broken route would.
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        this.#pairs.delete(pair);
        this.#waiting.delete(to);
      });
    }
    if (this.#state === 'silent') for (const socket of pair) socket.pause();
  }

  #pass(arrived: Buffer, to: Socket, direction: Direction): void {
    const bytes = this.onBytes(direction, arrived);
    if (this.#trap?.seenIn === direction && bytes.includes(this.#trap.text)) {
      this.#paused.add(this.#trap.pauses);
      this.#trap = undefined;
    }
    if (!this.#paused.has(direction)) this.#write(bytes, to);
    else this.#waiting.set(to, [...(this.#waiting.get(to) ?? []), bytes]);
  }

  #write(bytes: Buffer, to: Socket): void {
    if (this.delayMs === 0) to.write(bytes);
    else setTimeout(() => to.write(bytes), this.delayMs);
  }
}
