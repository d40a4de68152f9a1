import { Router } from 'zeromq';
import type { CurveKeys } from './security/curveKeys.js';
import { receiveIntoOwnMemory } from './ownMemory.js';
import { curveServer, type RouterSecurity, securedContext, watchHandshakes } from './security/routerSecurity.js';
import { HIGH_WATER_MARK, LINGER_MS, MAX_FRAME_BYTES } from './wire.js';

const OPTIONS = {
  // Unroutable messages are reported, not swallowed; a peer whose queue is full is skipped at once, not waited for.
  mandatory: true,
  sendTimeout: 0,
  sendHighWaterMark: HIGH_WATER_MARK,
  maxMessageSize: MAX_FRAME_BYTES,
  linger: LINGER_MS,
} as const;

/** The dispatcher's ROUTER, bound; with security a CURVE server. */
export interface RouterSocket {
  readonly socket: Router;
  /** Listens at one more endpoint, where workers expect another key. Returns the endpoint with its port. */
  listenAlso(endpoint: string, keys: CurveKeys): Promise<string>;
  /** Listens there no more, and cuts the connections that were made there. */
  stopListening(endpoint: string): Promise<void>;
  close(): void;
}

/** @throws when the endpoint (`tcp://host:port`, port `*` for a free one) cannot be bound. */
export async function bindRouter<Incoming>(
  endpoint: string,
  security?: RouterSecurity<Incoming>,
): Promise<RouterSocket> {
  await receiveIntoOwnMemory();
  const secured = security && (await securedContext(security));
  const socket = new Router({ ...OPTIONS, ...(secured && curveServer(secured.context, security.keys)) });
  if (security) watchHandshakes(socket, security.onRefused);
  const close = (): void => {
    socket.close();
    secured?.close();
  };
  try {
    await socket.bind(endpoint);
  } catch (error) {
    close();
    throw error;
  }
  return {
    socket,
    close,
    listenAlso: async (another, keys) => {
      // An endpoint keeps the options that it was bound with.
      socket.curveSecretKey = keys.secretKey;
      await socket.bind(another);
      return socket.lastEndpoint ?? another;
    },
    stopListening: (old) => socket.unbind(old),
  };
}
