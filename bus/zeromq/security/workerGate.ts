import type { Address } from '../../bus.js';
import type { WorkerMessage } from '../../messages.js';
import { type CurveKeys, sharedSecret } from './curveKeys.js';
import { claimedFingerprint, fingerprintOf, isProvenBy } from './provenAddress.js';
import { toZ85 } from './z85.js';

/** A key that may connect, and the name it may bear. */
export interface AllowedWorker {
  readonly name: string;
  readonly publicKey: string;
  /** Time in ms since 1970 from which on it may not. */
  readonly expiresAtMs: number;
}

export interface WorkerGateOptions {
  /** Each key pair under which workers may speak to the dispatcher: several while keys are being changed. */
  serverKeys: readonly CurveKeys[];
  workers: readonly AllowedWorker[];
  now: () => number;
  onRefused: (what: string) => void;
}

interface Allowed extends AllowedWorker {
  /** With each of the server's keys; computed when the worker first speaks. */
  secrets: Buffer[] | undefined;
}

interface Peer {
  readonly fingerprint: string;
  readonly name: string;
}

/** Addresses remembered as proven; one that was forgotten is proven anew. */
const MAX_PEERS = 10_000;
/** Between a worker's key name and what tells several workers of one machine apart. */
const SUB_NAME = '.';

/**
 * Decides who may speak to a dispatcher: a list of public keys, each with the name that a worker with that key bears. A key is asked for
 * at the handshake (`mayConnect`, by ZAP) and proven with each address (`provenAddress.ts`), so that a key that is taken off the list is
 * not heard any more at once, though its connection stays.
 */
export class WorkerGate {
  private readonly byFingerprint = new Map<string, Allowed>();
  private readonly peers = new Map<Address, Peer>();
  private serverKeys: readonly CurveKeys[];
  private expelled: (addresses: Address[]) => void = () => undefined;

  constructor(private readonly options: WorkerGateOptions) {
    this.serverKeys = options.serverKeys;
    this.setWorkers(options.workers);
  }

  /** Whose addresses have just been shut out. */
  onExpelled(handler: (addresses: Address[]) => void): void {
    this.expelled = handler;
  }

  /** The list has changed. */
  setWorkers(workers: readonly AllowedWorker[]): void {
    this.byFingerprint.clear();
    for (const worker of workers) {
      this.byFingerprint.set(fingerprintOf(worker.publicKey), { ...worker, secrets: undefined });
    }
    this.expire();
  }

  setServerKeys(keys: readonly CurveKeys[]): void {
    this.serverKeys = keys;
    for (const worker of this.byFingerprint.values()) worker.secrets = undefined;
  }

  /** Shuts out keys whose time is over, or which are not on the list any more. */
  expire(): void {
    const now = this.options.now();
    for (const [fingerprint, { expiresAtMs }] of this.byFingerprint) {
      if (expiresAtMs <= now) this.byFingerprint.delete(fingerprint);
    }
    const gone = [...this.peers].filter(([, peer]) => this.byFingerprint.get(peer.fingerprint)?.name !== peer.name);
    for (const [address] of gone) this.peers.delete(address);
    if (gone.length > 0) this.expelled(gone.map(([address]) => address));
  }

  /** The name of the worker whose key this is, at the handshake. */
  mayConnect(publicKey: Uint8Array): string | undefined {
    if (publicKey.length !== 32) return undefined;
    const worker = this.byFingerprint.get(fingerprintOf(toZ85(publicKey)));
    return worker !== undefined && worker.expiresAtMs > this.options.now() ? worker.name : undefined;
  }

  /** Whether messages from this address are to be read at all. */
  admitsPeer(address: Address): boolean {
    return this.peers.has(address) || this.prove(address);
  }

  /** A hello under a name that is not its key's is a lie; what else a proven worker says is about its own attempts, by their fences. */
  admits(message: WorkerMessage, from: Address): boolean {
    if (message.type !== 'hello') return true;
    const name = this.peers.get(from)?.name;
    if (name !== undefined && (message.name === name || message.name.startsWith(name + SUB_NAME))) return true;
    this.options.onRefused(
      `worker with the key of "${name ?? ''}" calls itself ${JSON.stringify(message.name.slice(0, 100))}`,
    );
    return false;
  }

  private prove(address: Address): boolean {
    const fingerprint = claimedFingerprint(address);
    const worker = fingerprint === undefined ? undefined : this.byFingerprint.get(fingerprint);
    if (fingerprint === undefined || !worker) {
      this.options.onRefused('peer whose address is that of no worker on the list');
      return false;
    }
    worker.secrets ??= this.serverKeys.map(({ secretKey }) => sharedSecret(secretKey, worker.publicKey));
    if (!worker.secrets.some((secret) => isProvenBy(address, secret))) {
      this.options.onRefused(`peer that says it has the key of "${worker.name}" and does not`);
      return false;
    }
    this.peers.set(address, { fingerprint, name: worker.name });
    const [oldest] = this.peers.keys();
    if (this.peers.size > MAX_PEERS && oldest !== undefined) this.peers.delete(oldest);
    return true;
  }
}
