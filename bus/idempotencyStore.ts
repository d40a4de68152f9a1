/** Which requests with an `Idempotency-Key` were seen, so that a repeat gets the same ids. */
export interface IdempotencyStore {
  /**
   * The first request seen under the key, which is this one unless there was another. Of several at once all are answered the
   * same. Kept no longer than the tasks that it leads to.
   * @param digest of the request's contents
   * @param tenant whose key it is, absent: `default`'s; another's key is another key
   * @throws PlatformError STORE_UNAVAILABLE
   */
  remember(key: string, digest: string, tenant?: string): Promise<RememberedRequest>;
}

export interface RememberedRequest {
  digest: string;
  /** 16 random bytes: the seed of the ids that the request's tasks have. */
  seed: Buffer;
}
