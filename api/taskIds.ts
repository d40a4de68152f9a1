import { createCipheriv, randomUUID } from 'node:crypto';

/** Makes ids, a new one with each call. */
export type IdSource = () => string;

export const randomIds: IdSource = () => randomUUID();

const NO_BYTES = Buffer.alloc(16);

/** The same ids in the same order for the same seed of 16 random bytes, as good as random ones: AES in counter mode. */
export function seededIds(seed: Buffer): IdSource {
  const cipher = createCipheriv('aes-128-ctr', seed, NO_BYTES);
  return () => {
    const bytes = cipher.update(NO_BYTES);
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40; // version 4: random
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80; // variant of RFC 9562
    const hex = bytes.toString('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  };
}
