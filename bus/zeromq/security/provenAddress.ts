import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Address } from '../../bus.js';
import { fromZ85 } from './z85.js';

/**
 * An address on a secured worker wire that only the holder of a certain key can have made.
 *
 * ZeroMQ tells who has made a connection only to the ZAP handler, not with the messages. So the worker makes the address that it
 * chooses anyway (the identity of its connection) of the fingerprint of its key, 16 random bytes, and their MAC under the secret that its
 * key and the dispatcher's share. It travels inside CURVE alone, so nobody else learns it, and nobody else can make one.
 */
const PREFIX = 'k-';
const FINGERPRINT_BYTES = 12;
const NONCE_BYTES = 16;
const MAC_BYTES = 16;

export const fingerprintOf = (publicKey: string): string =>
  createHash('sha256').update(fromZ85(publicKey)).digest().subarray(0, FINGERPRINT_BYTES).toString('base64url');

export function provenAddress(publicKey: string, secret: Uint8Array): Address {
  const nonce = randomBytes(NONCE_BYTES);
  const fingerprint = Buffer.from(fingerprintOf(publicKey), 'base64url');
  return PREFIX + Buffer.concat([fingerprint, nonce, macOf(secret, nonce)]).toString('base64url');
}

/** Whose the address claims to be, or undefined when it is no such address. */
export function claimedFingerprint(address: Address): string | undefined {
  return partsOf(address)?.fingerprint;
}

export function isProvenBy(address: Address, secret: Uint8Array): boolean {
  const parts = partsOf(address);
  return parts !== undefined && timingSafeEqual(parts.mac, macOf(secret, parts.nonce));
}

function macOf(secret: Uint8Array, nonce: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(nonce).digest().subarray(0, MAC_BYTES);
}

function partsOf(address: Address): { fingerprint: string; nonce: Buffer; mac: Buffer } | undefined {
  if (!/^k-[\w-]{59}$/.test(address)) return undefined;
  const bytes = Buffer.from(address.slice(PREFIX.length), 'base64url');
  if (bytes.length !== FINGERPRINT_BYTES + NONCE_BYTES + MAC_BYTES) return undefined;
  return {
    fingerprint: bytes.subarray(0, FINGERPRINT_BYTES).toString('base64url'),
    nonce: bytes.subarray(FINGERPRINT_BYTES, FINGERPRINT_BYTES + NONCE_BYTES),
    mac: bytes.subarray(FINGERPRINT_BYTES + NONCE_BYTES),
  };
}
