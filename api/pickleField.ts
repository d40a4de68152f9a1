import { PlatformError } from '../bus/errors.js';
import { decodeBase64 } from './base64.js';
import { pickleProblem } from './pickleCheck.js';

/**
 * The pickle in a field of a request: base64 in JSON, binary in MessagePack.
 * @param mayRefer to values of other tasks
 * @throws PlatformError PAYLOAD_NOT_BASE64, PAYLOAD_NOT_PICKLE, naming the field; VALIDATION_FAILED when it is neither
 */
export function pickleOf(field: () => string, value: unknown, mayRefer = false): Buffer {
  const bytes = Buffer.isBuffer(value) ? value : base64Of(field, value);
  const problem = bytes.length === 0 ? 'is empty' : pickleProblem(bytes, mayRefer);
  if (problem !== undefined) throw new PlatformError('PAYLOAD_NOT_PICKLE', `The pickle in \`${field()}\` ${problem}.`);
  return bytes;
}

function base64Of(field: () => string, value: unknown): Buffer {
  // JSON has been validated, so it is MessagePack with something else where a binary belongs.
  if (typeof value !== 'string')
    throw new PlatformError('VALIDATION_FAILED', `\`${field()}\` in the body must be binary.`);
  const bytes = decodeBase64(value);
  if (typeof bytes === 'string') throw new PlatformError('PAYLOAD_NOT_BASE64', `\`${field()}\` ${bytes}.`);
  return bytes;
}
