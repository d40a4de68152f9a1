import { createPrivateKey, createPublicKey, diffieHellman, hkdfSync } from 'node:crypto';
import { curveKeyPair } from 'zeromq';
import { fromZ85 } from './z85.js';

/** A long-term key pair of CURVE (Curve25519), each half as 40 characters of Z85. */
export interface CurveKeys {
  readonly publicKey: string;
  readonly secretKey: string;
}

export const newCurveKeys = (): CurveKeys => curveKeyPair();

/** What precedes the 32 bytes of an X25519 key in the forms that Node reads. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');
const PURPOSE = 'mpcsfaas worker address';

/**
 * A secret that only the holders of either secret key can compute: of the worker's and the dispatcher's public key, and one of the
 * secret ones. @throws when a key is none.
 */
export function sharedSecret(secretKey: string, publicKey: string): Buffer {
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, fromZ85(secretKey)]),
    format: 'der',
    type: 'pkcs8',
  });
  const peer = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, fromZ85(publicKey)]), format: 'der', type: 'spki' });
  const agreed = diffieHellman({ privateKey, publicKey: peer });
  return Buffer.from(hkdfSync('sha256', agreed, Buffer.alloc(0), PURPOSE, 32));
}
