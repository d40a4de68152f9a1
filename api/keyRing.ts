import { timingSafeEqual } from 'node:crypto';
import { type ApiKeyRecord, type ApiKeyStore, digestOf, keyIdOf, keyState } from '../bus/apiKeys.js';
import type { KeyHolder } from './access.js';
import { type Principal, SCOPES } from './principal.js';

/** A key that was revoked is refused after so long at the latest, by every API. */
const DEFAULT_RECHECK_MS = 100;

interface KnownKey {
  record: ApiKeyRecord;
  digest: Buffer;
  principal: Principal;
}

export interface KeyRingOptions {
  store: ApiKeyStore;
  recheckMs?: number;
  nowMs?: () => number;
  /** Whether two digests are the same, in a time that does not depend on where they differ. */
  equal?: (a: Buffer, b: Buffer) => boolean;
}

const NO_DIGEST = Buffer.alloc(32);

/**
 * Who holds which key. All keys are in memory, under the version of the store: a request costs a hash, and once in `recheckMs` one of
 * them waits for a look at that version. So a revocation needs no event to be heard of, and no event can undo it. What cannot be
 * rechecked because the store is away is refused, with STORE_UNAVAILABLE.
 */
export class KeyRing {
  private readonly store: ApiKeyStore;
  private readonly recheckMs: number;
  private readonly nowMs: () => number;
  private readonly equal: (a: Buffer, b: Buffer) => boolean;
  private keys = new Map<string, KnownKey>();
  private version: string | undefined;
  /** When the look was begun that `keys` come from; of the monotonic clock. */
  private checkedAtMs = -Infinity;
  private checking: Promise<void> | undefined;

  constructor({ store, recheckMs = DEFAULT_RECHECK_MS, nowMs = Date.now, equal = timingSafeEqual }: KeyRingOptions) {
    this.store = store;
    this.recheckMs = recheckMs;
    this.nowMs = nowMs;
    this.equal = equal;
  }

  readonly holderOf: KeyHolder = (key) => {
    const keyId = keyIdOf(key);
    const mayBeNew = keyId !== undefined && !this.keys.has(keyId);
    return this.isFresh() && !mayBeNew ? this.holder(key) : this.holderAfterLook(key, keyId);
  };

  /** Whether a key that was accepted before still is. @throws PlatformError STORE_UNAVAILABLE */
  async stillValid(): Promise<(keyId: string) => boolean> {
    if (!this.isFresh()) await this.recheck();
    return (keyId) => {
      const known = this.keys.get(keyId);
      return known !== undefined && keyState(known.record, this.nowMs()) === 'valid';
    };
  }

  /** What is told of a key that is not accepted, to the log alone. */
  whyNot(key: string): 'malformed' | 'unknown' | 'expired' | 'revoked' {
    const keyId = keyIdOf(key);
    if (keyId === undefined) return 'malformed';
    const known = this.keys.get(keyId);
    if (!known || !this.equal(digestOf(key), known.digest)) return 'unknown';
    const state = keyState(known.record, this.nowMs());
    return state === 'valid' ? 'unknown' : state;
  }

  private holder(key: string): Principal | undefined {
    const keyId = keyIdOf(key);
    if (keyId === undefined) return undefined;
    const known = this.keys.get(keyId);
    // Whether there is such an id may be told by the time it takes; it is no secret.
    const same = this.equal(digestOf(key), known?.digest ?? NO_DIGEST);
    return known && same && keyState(known.record, this.nowMs()) === 'valid' ? known.principal : undefined;
  }

  /** A key that is not known may have been made a moment ago: it is refused only after a look that was begun after it came. */
  private async holderAfterLook(key: string, keyId: string | undefined): Promise<Principal | undefined> {
    const askedAtMs = performance.now();
    if (!this.isFresh()) await this.recheck();
    while (keyId !== undefined && !this.keys.has(keyId) && this.checkedAtMs < askedAtMs) await this.recheck();
    return this.holder(key);
  }

  private isFresh(): boolean {
    return performance.now() - this.checkedAtMs < this.recheckMs;
  }

  private recheck(): Promise<void> {
    this.checking ??= this.check().finally(() => (this.checking = undefined));
    return this.checking;
  }

  private async check(): Promise<void> {
    const startedAtMs = performance.now();
    if (this.version === undefined || (await this.store.readVersion()) !== this.version) {
      const { version, records } = await this.store.read();
      this.keys = new Map(records.map((record) => [record.keyId, knownKey(record)]));
      this.version = version;
    }
    this.checkedAtMs = startedAtMs;
  }
}

function knownKey(record: ApiKeyRecord): KnownKey {
  const { keyId, tenant, scopes, digest } = record;
  const granted = new Set(scopes.includes('admin') ? SCOPES : scopes);
  return { record, digest: Buffer.from(digest, 'hex'), principal: { tenant, keyId, scopes: granted } };
}
