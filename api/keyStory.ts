import { type ApiKeyRecord, keyState, type KeyState, type Scope } from '../bus/apiKeys.js';
import { isoTime } from './times.js';

/** What is told of a key, everywhere: all but what could help to find it. */
export interface KeyStory {
  key_id: string;
  name: string;
  tenant: string;
  scopes: Scope[];
  state: KeyState;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
}

export function keyStory(record: ApiKeyRecord, nowMs: number): KeyStory {
  const { keyId, name, tenant, scopes, createdAtMs, expiresAtMs, revokedAtMs } = record;
  return {
    ...{ key_id: keyId, name, tenant, scopes: [...scopes], state: keyState(record, nowMs) },
    created_at: isoTime(createdAtMs),
    expires_at: isoOrNull(expiresAtMs),
    revoked_at: isoOrNull(revokedAtMs),
  };
}

const isoOrNull = (ms: number | undefined): string | null => (ms === undefined ? null : isoTime(ms));
