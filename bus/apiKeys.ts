import { hash, randomBytes } from 'node:crypto';
import { PlatformError } from './errors.js';
import { TENANT_PATTERN } from './tenants.js';

/** What a key may be good for. */
export const SCOPES = ['submit', 'read', 'operate', 'admin'] as const;
/**
 * - `submit`: register functions, submit tasks, cancel one's own.
 * - `read`: see one's own tasks, results, output, functions and lists.
 * - `operate`: workers, dispatchers, counts, the dashboard; drain, and run failed tasks again.
 * - `admin`: keys, and all tenants. It comes with the others.
 */
export type Scope = (typeof SCOPES)[number];

/** Names are for people; they go into lists and logs as they are. */
export const KEY_NAME_PATTERN = '^[^\\p{C}]{0,64}$';

/** What is kept of a key: never the key. */
export interface ApiKeyRecord {
  readonly keyId: string;
  readonly name: string;
  readonly tenant: string;
  readonly scopes: readonly Scope[];
  /** SHA-256 of the whole key, hexadecimal. */
  readonly digest: string;
  readonly createdAtMs: number;
  /** Without it the key does not expire. */
  readonly expiresAtMs?: number;
  readonly revokedAtMs?: number;
}

/** What a new key shall be. */
export interface NewApiKey {
  readonly name: string;
  readonly tenant: string;
  readonly scopes: readonly Scope[];
  readonly expiresAtMs?: number;
}

/** Where records of keys are kept. Every method throws PlatformError STORE_UNAVAILABLE while that is away. */
export interface ApiKeyStore {
  /** Of the set of keys: another one after every change. */
  readVersion(): Promise<string>;
  read(): Promise<{ version: string; records: ApiKeyRecord[] }>;
  add(record: ApiKeyRecord): Promise<void>;
  /** Answers the record as it is now; undefined for an unknown key. Revoking twice changes nothing. */
  revoke(keyId: string, nowMs: number): Promise<ApiKeyRecord | undefined>;
}

const KEY_ID_BYTES = 6;
const SECRET_BYTES = 20;
const KEY_FORM = /^mpcs_([0-9a-f]{12})_[0-9a-f]{40}$/;

/** The id in a key; undefined for what has not the form of a key. */
export const keyIdOf = (key: string): string | undefined => KEY_FORM.exec(key)?.[1];

/**
 * What is stored in place of a key. A plain SHA-256, not a slow hash: nobody can try out 160 random bits, and slowness would be paid at
 * every request.
 */
export const digestOf = (key: string): Buffer => hash('sha256', key, 'buffer');

/** A new key, `mpcs_<id>_<160 random bits>`, to be shown once, and the record of it. @throws PlatformError VALIDATION_FAILED */
export function newApiKey(wanted: NewApiKey, nowMs: number): { key: string; record: ApiKeyRecord } {
  const { name, tenant, scopes, expiresAtMs } = wanted;
  refuseUnless(
    new RegExp(TENANT_PATTERN).test(tenant),
    `\`tenant\` must match ${TENANT_PATTERN}, not ${quoted(tenant)}.`,
  );
  refuseUnless(new RegExp(KEY_NAME_PATTERN, 'u').test(name), '`name` must be up to 64 printable characters.');
  refuseUnless(scopes.length > 0, `\`scopes\` must have at least one of ${SCOPES.join(', ')}.`);
  const unknown = scopes.find((scope) => !SCOPES.includes(scope));
  refuseUnless(unknown === undefined, `\`scopes\` may have ${SCOPES.join(', ')}, not ${quoted(unknown ?? '')}.`);
  refuseUnless(expiresAtMs === undefined || expiresAtMs > nowMs, 'The key must expire in the future.');
  const keyId = randomBytes(KEY_ID_BYTES).toString('hex');
  const key = `mpcs_${keyId}_${randomBytes(SECRET_BYTES).toString('hex')}`;
  const record: ApiKeyRecord = {
    ...{ keyId, name, tenant, digest: digestOf(key).toString('hex'), createdAtMs: nowMs },
    scopes: SCOPES.filter((scope) => scopes.includes(scope)),
    ...(expiresAtMs !== undefined && { expiresAtMs }),
  };
  return { key, record };
}

export type KeyState = 'valid' | 'expired' | 'revoked';

export function keyState({ revokedAtMs, expiresAtMs }: ApiKeyRecord, nowMs: number): KeyState {
  if (revokedAtMs !== undefined) return 'revoked';
  return expiresAtMs !== undefined && expiresAtMs <= nowMs ? 'expired' : 'valid';
}

function refuseUnless(condition: boolean, why: string): void {
  if (!condition) throw new PlatformError('VALIDATION_FAILED', why);
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 60));
