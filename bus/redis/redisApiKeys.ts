import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { type ApiKeyRecord, type ApiKeyStore, keyState } from '../apiKeys.js';
import { PlatformError } from '../errors.js';
import { API_KEYS_KEY } from './keys.js';
import { guarded } from './shards.js';

/** The field beside those of the keys. */
const VERSION = '';
/** All of them are in the memory of every API. */
const MAX_KEYS = 10_000;
/** Ended keys are shown for so long, that one can see why something stopped working. */
const KEEP_ENDED_MS = 90 * 86_400_000;

export class RedisApiKeys implements ApiKeyStore {
  constructor(private readonly redis: Redis) {}

  async readVersion(): Promise<string> {
    return (await guarded(() => this.redis.hget(API_KEYS_KEY, VERSION))) ?? '';
  }

  async read(): Promise<{ version: string; records: ApiKeyRecord[] }> {
    const { [VERSION]: version = '', ...fields } = await guarded(() => this.redis.hgetall(API_KEYS_KEY));
    const records = Object.values(fields).map((json) => JSON.parse(json) as ApiKeyRecord);
    return { version, records: records.sort((a, b) => a.createdAtMs - b.createdAtMs) };
  }

  async add(record: ApiKeyRecord): Promise<void> {
    const { records } = await this.read();
    const ended = records.filter((one) => {
      const endedAtMs = one.revokedAtMs ?? one.expiresAtMs;
      return keyState(one, record.createdAtMs) !== 'valid' && (endedAtMs ?? 0) + KEEP_ENDED_MS < record.createdAtMs;
    });
    if (records.length - ended.length >= MAX_KEYS) {
      throw new PlatformError('QUOTA_EXCEEDED', `There are ${MAX_KEYS} API keys, which is as many as there can be.`);
    }
    await this.write(
      record,
      ended.map(({ keyId }) => keyId),
    );
  }

  async revoke(keyId: string, nowMs: number): Promise<ApiKeyRecord | undefined> {
    if (keyId === VERSION) return undefined;
    const json = await guarded(() => this.redis.hget(API_KEYS_KEY, keyId));
    if (json === null) return undefined;
    const record = JSON.parse(json) as ApiKeyRecord;
    if (record.revokedAtMs !== undefined) return record;
    const revoked = { ...record, revokedAtMs: nowMs };
    await this.write(revoked, []);
    return revoked;
  }

  /** With a version that nobody has seen, also after Redis has lost its last second. */
  private async write(record: ApiKeyRecord, forget: readonly string[]): Promise<void> {
    const fields = { [record.keyId]: JSON.stringify(record), [VERSION]: randomBytes(16).toString('hex') };
    await guarded(async () => {
      // One command, so that nobody sees the key under the version before it.
      await this.redis.hset(API_KEYS_KEY, fields);
      if (forget.length > 0) await this.redis.hdel(API_KEYS_KEY, ...forget);
    });
  }
}
