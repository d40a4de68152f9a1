import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { ERROR_CATALOGUE } from '../bus/errors.js';

export interface ConnectionLimits {
  /** In all. */
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}

/** How often connections are looked through for keys that are not valid any more. */
const SWEEP_MS = 1_000;
/** A client that does not read why it was refused is not waited for. */
const REFUSAL_MS = 1_000;
/** Between two lines on refused connections. */
const LOG_EVERY_MS = 10_000;

const REFUSAL = refusal();

/**
 * The connections of a server: at most so many, at most so many from one address, none any more for a key that has been revoked. What is
 * refused costs an accept and a short answer; nothing of it is read.
 */
export class Connections {
  private readonly holders = new Map<Socket, string | undefined>();
  private readonly perAddress = new Map<string, number>();
  private refused = 0;
  private saidAtMs = -Infinity;

  constructor(
    server: Server,
    private readonly limits: ConnectionLimits,
    private readonly log: Logger,
  ) {
    server.prependListener('connection', (socket) => {
      this.onConnection(socket);
    });
  }

  /** Notes whose key the connection was last used with. */
  usedBy(socket: Socket, keyId: string): void {
    if (this.holders.has(socket)) this.holders.set(socket, keyId);
  }

  /** Ends what keys hold open, waits and streams, when they are not valid any more. Returns what stops it. */
  endWithKeys(stillValid: () => Promise<(keyId: string) => boolean>): () => void {
    const timer = setInterval(() => {
      void this.sweep(stillValid);
    }, SWEEP_MS);
    timer.unref();
    return () => {
      clearInterval(timer);
    };
  }

  private async sweep(stillValid: () => Promise<(keyId: string) => boolean>): Promise<void> {
    if (this.holders.size === 0) return;
    // While the store is away nobody knows; new requests are refused.
    const isValid = await stillValid().catch(() => undefined);
    if (!isValid) return;
    for (const [socket, keyId] of this.holders) if (keyId !== undefined && !isValid(keyId)) socket.destroy();
  }

  private onConnection(socket: Socket): void {
    const { maxConnections, maxConnectionsPerAddress } = this.limits;
    const address = socket.remoteAddress ?? '';
    const count = this.perAddress.get(address) ?? 0;
    if (this.holders.size >= maxConnections || count >= maxConnectionsPerAddress) {
      this.refuse(socket, address);
      return;
    }
    this.holders.set(socket, undefined);
    this.perAddress.set(address, count + 1);
    socket.once('close', () => {
      this.holders.delete(socket);
      const left = (this.perAddress.get(address) ?? 1) - 1;
      if (left === 0) this.perAddress.delete(address);
      else this.perAddress.set(address, left);
    });
  }

  private refuse(socket: Socket, address: string): void {
    socket.on('error', () => undefined);
    socket.end(REFUSAL);
    // Before Node's parser can read of it: what is written is with the kernel by now, or too late.
    socket.destroySoon();
    setTimeout(() => socket.destroy(), REFUSAL_MS).unref();
    this.refused++;
    if (performance.now() - this.saidAtMs < LOG_EVERY_MS) return;
    this.saidAtMs = performance.now();
    this.log.warn(
      { address, open: this.holders.size, refused: this.refused },
      'connections refused: there are too many',
    );
    this.refused = 0;
  }
}

function refusal(): string {
  const { remedy } = ERROR_CATALOGUE.TOO_MANY_CONNECTIONS;
  const detail = 'There are too many connections to this server, or from this address.';
  const body = JSON.stringify({ detail, code: 'TOO_MANY_CONNECTIONS', remedy });
  const head = ['HTTP/1.1 503 Service Unavailable', 'Content-Type: application/json; charset=utf-8', 'Retry-After: 1'];
  return [...head, `Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close', '', body].join('\r\n');
}
