import { Redis } from 'ioredis';
import standalone from 'ioredis/built/connectors/StandaloneConnector.js';
import { PlatformError } from '../errors.js';

/** No command waits longer than this; a Redis that takes longer is treated as away. */
const COMMAND_TIMEOUT_MS = 5_000;
/**
 * A connection over which nothing comes for so long although something was asked for is given up. Its way may be gone without a word (a
 * NAT or a load balancer has forgotten it) while a new one would work; and what was refused above stays in memory as long as it lasts. A
 * Redis that loads its file or runs a long script does answer, if only with an error.
 *
 * Where nothing was asked for, as where messages are awaited, nothing is missed: there TCP asks by itself, after 30 s (ioredis' `keepAlive`).
 */
const SILENCE_TIMEOUT_MS = 7_000;
const CONNECT_TIMEOUT_MS = 5_000;
const MAX_RECONNECT_DELAY_MS = 1_000;
/** Why a connection is lost, where nothing else is known. */
const CLOSED = 'connection closed';

/** How a connection tells its component about Redis: `lost` once when it goes, `restored` once when it is back. */
export interface DependencyEvents {
  lost(reason: string): void;
  restored(): void;
}

/** Where Redis is, and how one shows who one is there. */
export interface RedisAccess {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  /** PEM: whom to trust, and what to show. */
  readonly tls?: { ca?: string; cert?: string; key?: string };
}

/**
 * ioredis listens to the first error of a socket alone. After one that we end, because its certificate is not to be trusted, TLS may tell of
 * a second, which nobody would catch: it ended the process.
 */
class Connector extends standalone.default {
  constructor(options: unknown) {
    super(options as ConstructorParameters<typeof standalone.default>[0]);
  }

  override connect(...args: Parameters<Connected>): ReturnType<Connected> {
    return super.connect(...args).then((stream) => stream.on('error', () => undefined));
  }
}
type Connected = InstanceType<typeof standalone.default>['connect'];

/**
 * A connection that fails fast: commands are refused while Redis is away (never queued, never repeated behind the caller's
 * back, since only the caller knows whether repeating is safe), and it reconnects by itself for ever.
 */
export function connectRedis(access: string | (() => RedisAccess), events: DependencyEvents): Redis {
  const accessNow = typeof access === 'string' ? (): RedisAccess => ({ url: access }) : access;
  const { url } = accessNow();
  const place = url.startsWith('unix://') ? decodeURI(new URL(url).pathname) : url;
  const redis = new Redis(place, {
    Connector,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: (times) => {
      adopt();
      return Math.min(50 * times, MAX_RECONNECT_DELAY_MS);
    },
  });
  /** Passwords and certificates may have been changed since the last connection. */
  const adopt = (): void => {
    const { username, password, tls } = accessNow();
    if (username !== undefined) redis.options.username = username;
    if (password !== undefined) redis.options.password = password;
    if (tls !== undefined) redis.options.tls = tls;
  };
  adopt();
  let away = false;
  let reason = CLOSED;
  redis.on('error', (error: Error) => {
    reason = (error as NodeJS.ErrnoException).code ?? error.message;
  });
  redis.on('close', () => {
    if (!away) events.lost(reason);
    away = true;
  });
  redis.on('ready', () => {
    if (away) events.restored();
    away = false;
    reason = CLOSED;
  });
  void redis.connect().catch(() => undefined); // Reported by the events above; retryStrategy goes on trying.
  return redis;
}

/** Errors of the server's answer to a wrong command are faults of ours and pass; all else means that Redis cannot be reached. */
export function asStoreError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const isReply = error.name === 'ReplyError';
  const transient = /^(LOADING|BUSY|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|OOM|MISCONF)/.test(error.message);
  return isReply && !transient
    ? error
    : new PlatformError('STORE_UNAVAILABLE', `Redis: ${error.message}`, { cause: error });
}
