import { PlatformError } from '../bus/errors.js';
import { decodeBase64 } from './base64.js';
import { pickleProblem } from './pickleCheck.js';

/**
 * The pickle in a field of a request.
 * @throws PlatformError PAYLOAD_NOT_BASE64, PAYLOAD_NOT_PICKLE, naming the field
 */
export function pickleOf(field: string, text: string): Buffer {
  const bytes = decodeBase64(text);
  if (typeof bytes === 'string') throw new PlatformError('PAYLOAD_NOT_BASE64', `\`${field}\` ${bytes}.`);
  const problem = pickleProblem(bytes);
  if (problem !== undefined) throw new PlatformError('PAYLOAD_NOT_PICKLE', `The pickle in \`${field}\` ${problem}.`);
  return bytes;
}
