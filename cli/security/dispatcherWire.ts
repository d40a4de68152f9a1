import type { Logger } from 'pino';
import { every, systemClock } from '../../actors/clock.js';
import type { Address } from '../../bus/bus.js';
import type { WorkerMessage } from '../../bus/messages.js';
import type { Routers } from '../../bus/zeromq/routers.js';
import type { RouterSecurity } from '../../bus/zeromq/security/routerSecurity.js';
import { type AllowedWorker, WorkerGate } from '../../bus/zeromq/security/workerGate.js';
import { BoundedNotices } from './boundedNotices.js';
import { type DispatcherKey, readDispatcherKeys, readWorkerKeys } from './keyFiles.js';
import { type Expiring, warnBeforeExpiry } from './expiry.js';
import { watchForChanges } from './fileWatch.js';

export interface KeyPaths {
  readonly dispatcherKeys: string;
  readonly workerKeys: string;
}

const EXPIRY_MS = 1_000;

/**
 * The keys of a dispatcher, and of the workers it lets in, as their files say from moment to moment: a worker that is added can join, one
 * that is revoked is shut out, a new key of the dispatcher is listened with beside the old one, until that retires.
 */
export class DispatcherWire {
  readonly security: RouterSecurity<WorkerMessage>;
  readonly port: number;
  private readonly gate: WorkerGate;
  private readonly notices: BoundedNotices;
  private readonly stops: (() => void)[] = [];
  /** Endpoints by public key. */
  private readonly listening = new Map<string, string>();
  private following: Promise<void> = Promise.resolve();
  private keys: readonly DispatcherKey[];

  /** @throws StartError when a file cannot be read. */
  constructor(
    private readonly paths: KeyPaths,
    private readonly host: string,
    private readonly log: Logger,
  ) {
    this.keys = readDispatcherKeys(paths.dispatcherKeys);
    const [newest] = this.keys;
    if (!newest) throw new RangeError('a list of keys is never empty');
    this.notices = new BoundedNotices((what) => log.warn(`refused: ${what}`));
    const onRefused = (what: string): void => {
      this.notices.notice(what);
    };
    this.gate = new WorkerGate({ serverKeys: this.keysInUse(), workers: this.allowed(), now: Date.now, onRefused });
    this.security = { keys: newest, gate: this.gate, onRefused };
    this.port = newest.port;
  }

  /** Goes on as the files say. Resolves when all keys are listened with. */
  async follow(routers: Routers, onExpelled: (addresses: Address[]) => void): Promise<void> {
    this.listening.set(this.security.keys.publicKey, routers.endpoint);
    this.gate.onExpelled((addresses) => {
      this.log.warn({ connections: addresses.length }, 'shut out: the key of these workers was revoked or has expired');
      onExpelled(addresses);
    });
    const again = (): void => {
      this.following = this.following
        .then(() => this.adopt(routers))
        .catch((error: unknown) => {
          this.notices.notice(`a change of the key files: ${String(error)} What they said before stands.`);
        });
    };
    const expire = (): void => {
      this.gate.expire();
      if (this.keysInUse().length !== this.listening.size) again();
    };
    this.stops.push(
      warnBeforeExpiry(this.log, () => this.tokens()),
      watchForChanges([this.paths.dispatcherKeys, this.paths.workerKeys], again),
      every(systemClock, EXPIRY_MS, expire),
    );
    await this.adopt(routers);
  }

  async stop(): Promise<void> {
    for (const stop of this.stops.splice(0)) stop();
    await this.following;
    this.notices.stop();
  }

  private async adopt(routers: Routers): Promise<void> {
    this.keys = readDispatcherKeys(this.paths.dispatcherKeys);
    const keys = this.keysInUse();
    this.gate.setServerKeys(keys);
    this.gate.setWorkers(this.allowed());
    for (const key of keys) {
      if (this.listening.has(key.publicKey)) continue;
      this.listening.set(key.publicKey, await routers.listenAlso(`tcp://${this.host}:${key.port}`, key));
      this.log.info({ port: key.port }, 'waiting for workers with a new key');
    }
    for (const [publicKey, endpoint] of this.listening) {
      if (keys.some((key) => key.publicKey === publicKey)) continue;
      this.listening.delete(publicKey);
      routers.stopListening(endpoint);
      this.log.info({ endpoint }, 'the old key has retired: who knows no other is not heard any more');
    }
  }

  private allowed(): AllowedWorker[] {
    return readWorkerKeys(this.paths.workerKeys)
      .filter(({ revoked }) => revoked === undefined)
      .map(({ name, publicKey, expires }) => ({ name, publicKey, expiresAtMs: Date.parse(expires) }));
  }

  /** The newest of each worker: those before it are meant to end. */
  private tokens(): Expiring[] {
    const newest = new Map(this.allowed().map(({ name, expiresAtMs }) => [name, expiresAtMs]));
    return [...newest].map(([name, at]) => ({ what: `the token of worker "${name}"`, at: new Date(at).toISOString() }));
  }

  private keysInUse(): DispatcherKey[] {
    const now = Date.now();
    return this.keys.filter(({ retires }) => retires === undefined || Date.parse(retires) > now);
  }
}
