/**
 * Reads MessagePack that a stranger sent: nil, booleans, numbers, texts, binaries, arrays and maps with text keys. Extensions are
 * refused, and no length is believed that the bytes do not have room for, so that a few bytes cannot ask for much memory.
 */

const MAX_DEPTH = 32;

/** What is wrong with the bytes, as the end of a sentence. */
export class MsgpackError extends Error {}

export function readMsgpack(bytes: Buffer): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.position !== bytes.length) throw new MsgpackError(`has bytes after its end, at ${reader.position}`);
  return value;
}

class Reader {
  position = 0;

  constructor(private readonly bytes: Buffer) {}

  value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw new MsgpackError(`is nested more than ${MAX_DEPTH} deep`);
    const { bytes } = this;
    const at = this.take(1);
    const type = bytes[at] ?? 0;
    if (type < 0x80) return type;
    if (type < 0x90) return this.map(type & 0x0f, depth);
    if (type < 0xa0) return this.array(type & 0x0f, depth);
    if (type < 0xc0) return this.text(type & 0x1f);
    if (type >= 0xe0) return type - 0x100;
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.binary(this.unsigned(1));
      case 0xc5:
        return this.binary(this.unsigned(2));
      case 0xc6:
        return this.binary(this.unsigned(4));
      case 0xca:
        return bytes.readFloatBE(this.take(4));
      case 0xcb:
        return bytes.readDoubleBE(this.take(8));
      case 0xcc:
        return this.unsigned(1);
      case 0xcd:
        return this.unsigned(2);
      case 0xce:
        return this.unsigned(4);
      case 0xcf:
        return Number(bytes.readBigUInt64BE(this.take(8)));
      case 0xd0:
        return bytes.readInt8(this.take(1));
      case 0xd1:
        return bytes.readInt16BE(this.take(2));
      case 0xd2:
        return bytes.readInt32BE(this.take(4));
      case 0xd3:
        return Number(bytes.readBigInt64BE(this.take(8)));
      case 0xd9:
        return this.text(this.unsigned(1));
      case 0xda:
        return this.text(this.unsigned(2));
      case 0xdb:
        return this.text(this.unsigned(4));
      case 0xdc:
        return this.array(this.unsigned(2), depth);
      case 0xdd:
        return this.array(this.unsigned(4), depth);
      case 0xde:
        return this.map(this.unsigned(2), depth);
      case 0xdf:
        return this.map(this.unsigned(4), depth);
      default:
        throw new MsgpackError(`has an extension or unknown type (0x${type.toString(16)}) at ${at}`);
    }
  }

  /** Where the next `length` bytes are. */
  private take(length: number): number {
    const at = this.position;
    if (length > this.bytes.length - at)
      throw new MsgpackError(`ends in the middle of a value, at ${this.bytes.length}`);
    this.position += length;
    return at;
  }

  private unsigned(length: 1 | 2 | 4): number {
    return this.bytes.readUIntBE(this.take(length), length);
  }

  private binary(length: number): Buffer {
    const at = this.take(length);
    return this.bytes.subarray(at, at + length);
  }

  private text(length: number): string {
    const at = this.take(length);
    return this.bytes.toString('utf8', at, at + length);
  }

  private array(length: number, depth: number): unknown[] {
    const items: unknown[] = [];
    for (let i = 0; i < length; i++) items.push(this.value(depth + 1));
    return items;
  }

  private map(length: number, depth: number): Record<string, unknown> {
    const fields: Record<string, unknown> = {};
    for (let i = 0; i < length; i++) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string' || key === '__proto__')
        throw new MsgpackError('has a key that is no text, or `__proto__`');
      fields[key] = this.value(depth + 1);
    }
    return fields;
  }
}
