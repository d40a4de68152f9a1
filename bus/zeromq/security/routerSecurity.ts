import { Context, Router, type SocketOptions } from 'zeromq';
import type { Gate } from '../wire.js';
import { type CurveKeys, sharedSecret } from './curveKeys.js';
import { provenAddress } from './provenAddress.js';

/** What a dispatcher's end of the wire needs to let in only whom it should. */
export interface RouterSecurity<Incoming> {
  /** The key pair that workers expect behind the endpoint. */
  readonly keys: CurveKeys;
  readonly gate: Gate<Incoming> & { mayConnect(publicKey: Uint8Array): string | undefined };
  /** Said for each connection and message that is refused; the caller keeps it bounded. */
  readonly onRefused: (what: string) => void;
}

/** What a worker's end needs: whom it expects, and who it is. */
export interface WorkerSecurity {
  readonly serverKey: string;
  readonly keys: CurveKeys;
  /** The handshake failed: this worker is not on the list, or there is another one at the other end. */
  readonly onRefused?: (why: string) => void;
}

const ZAP_ENDPOINT = 'inproc://zeromq.zap.01';
const ZAP_VERSION = '1.0';
/** A handshake takes milliseconds: whoever connects and says nothing is let go after this. */
const HANDSHAKE_MS = 5_000;

export interface SecuredContext {
  readonly context: Context;
  readonly close: () => void;
}

/**
 * A context of ZeroMQ whose CURVE servers ask the gate about each key. The handler of such questions (ZAP, RFC 27) belongs to a context:
 * one of its own, so that several dispatchers in one process do not answer for each other.
 */
export async function securedContext<Incoming>(security: RouterSecurity<Incoming>): Promise<SecuredContext> {
  const context = new Context();
  const handler = new Router({ context, linger: 0 });
  await handler.bind(ZAP_ENDPOINT);
  void answer(handler, security);
  return {
    context,
    close: () => {
      handler.close();
    },
  };
}

async function answer<Incoming>(handler: Router, { gate, onRefused }: RouterSecurity<Incoming>): Promise<void> {
  for await (const frames of handler) {
    const [peer, delimiter, version, request, , place, , mechanism, key] = frames;
    if (!peer || !delimiter || !request) continue;
    const isQuestion = version?.toString() === ZAP_VERSION && mechanism?.toString() === 'CURVE' && key !== undefined;
    const name = isQuestion ? gate.mayConnect(key) : undefined;
    if (name === undefined)
      onRefused(`connection from ${place?.toString() ?? '?'}: its key is not on the list of workers`);
    const verdict = name === undefined ? ['400', 'not on the list of workers', ''] : ['200', '', name];
    await handler.send([peer, delimiter, ZAP_VERSION, request, ...verdict, '']).catch(() => undefined);
  }
}

/** Options that make a ROUTER a CURVE server. */
export function curveServer(context: Context, keys: CurveKeys): SocketOptions<Router> {
  return {
    context,
    curveServer: true,
    curveSecretKey: keys.secretKey,
    zapDomain: 'workers',
    handshakeInterval: HANDSHAKE_MS,
  };
}

/** Options that make a worker's socket a CURVE client. */
export function curveClient({ serverKey, keys }: WorkerSecurity): {
  curveServerKey: string;
  curvePublicKey: string;
  curveSecretKey: string;
} {
  return { curveServerKey: serverKey, curvePublicKey: keys.publicKey, curveSecretKey: keys.secretKey };
}

/** An address for a new connection, see `provenAddress.ts`. */
export function workerAddress({ serverKey, keys }: WorkerSecurity): string {
  return provenAddress(keys.publicKey, sharedSecret(keys.secretKey, serverKey));
}

interface Watched {
  readonly events: {
    on(
      type: 'handshake:error:protocol' | 'handshake:error:auth' | 'handshake:error:other',
      listener: (event: { address: string; error?: Error }) => void,
    ): void;
  };
}

/** Tells of handshakes that failed. */
export function watchHandshakes({ events }: Watched, onFailed: (what: string) => void): void {
  const wrong = 'no CURVE, or another key than this end has';
  events.on('handshake:error:protocol', ({ address }) => onFailed(`connection at ${address}: ${wrong}`));
  events.on('handshake:error:auth', ({ address }) =>
    onFailed(`connection at ${address}: the key is not on the list of workers`),
  );
  events.on('handshake:error:other', ({ address }) => onFailed(`connection at ${address}: it ended in the handshake`));
}
