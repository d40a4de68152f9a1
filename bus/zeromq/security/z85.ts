/** Z85 (ZeroMQ RFC 32): four bytes as five printable characters; how CURVE keys are written. */
const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';
const VALUES = new Map(Array.from(ALPHABET, (character, index) => [character, index]));

/** The 40 characters of a CURVE key. */
export const isCurveKey = (text: string): boolean =>
  text.length === 40 && Array.from(text).every((character) => VALUES.has(character));

/** @param bytes as many as a multiple of four. */
export function toZ85(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let at = 0; at < bytes.length; at += 4) {
    let word = view.getUint32(at);
    let group = '';
    for (let digit = 0; digit < 5; digit++) {
      group = ALPHABET.charAt(word % 85) + group;
      word = Math.floor(word / 85);
    }
    text += group;
  }
  return text;
}

/** @throws RangeError when the text is not Z85. */
export function fromZ85(text: string): Buffer {
  if (text.length % 5 !== 0) throw new RangeError('not Z85: its length is no multiple of five');
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let at = 0; at < text.length; at += 5) {
    let word = 0;
    for (const character of text.slice(at, at + 5)) {
      const value = VALUES.get(character);
      if (value === undefined) throw new RangeError(`not Z85: ${JSON.stringify(character)}`);
      word = word * 85 + value;
    }
    if (word > 0xffffffff) throw new RangeError('not Z85: a group is too large');
    bytes.writeUInt32BE(word, (at / 5) * 4);
  }
  return bytes;
}
