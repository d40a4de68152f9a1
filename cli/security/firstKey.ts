import type { Logger } from 'pino';
import type { ApiKeyRecord, ApiKeyStore } from '../../bus/apiKeys.js';

const RETRY_MS = 1_000;

/**
 * Takes the first key of a deployment into Redis, once: one that has been revoked since is known there, and stays revoked. Goes on trying
 * while Redis is away. Returns how to give up.
 */
export function keepFirstKey(keys: ApiKeyStore, record: string | undefined, log: Logger): () => void {
  if (record === undefined) return () => undefined;
  const first = JSON.parse(record) as ApiKeyRecord;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const take = async (): Promise<void> => {
    try {
      const { records } = await keys.read();
      if (records.some(({ keyId }) => keyId === first.keyId)) return;
      await keys.add(first);
      log.info({ keyId: first.keyId }, 'took the first API key of this deployment into Redis');
    } catch (error) {
      log.debug({ err: error }, 'the first API key is not in Redis yet');
      if (!stopped) timer = setTimeout(() => void take(), RETRY_MS);
    }
  };
  void take();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
