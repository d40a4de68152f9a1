import { Packr } from 'msgpackr';

/** Records (msgpackr's own extension) would compile code from what a peer sends; plain maps and arrays do not. */
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true });

export const pack = (value: unknown): Buffer => packr.pack(value);

/** What is smaller is copied by msgpackr for less than a piece of its own costs. */
const PIECE_BYTES = 32 * 1024;

/**
 * The same bytes as `pack`, in pieces: large binaries are not copied. msgpackr would copy each into a buffer that it doubles, and copies,
 * as it grows.
 */
export function packPieces(value: unknown): Buffer[] {
  if (!hasLargePart(value)) return [packr.pack(value)];
  const pieces: Buffer[] = [];
  addPieces(value, pieces);
  return pieces;
}

const isLargeBinary = (value: unknown): value is Buffer => Buffer.isBuffer(value) && value.length >= PIECE_BYTES;

function hasLargePart(value: unknown): boolean {
  return isLargeBinary(value) || (Array.isArray(value) && value.some(hasLargePart));
}

function addPieces(value: unknown, pieces: Buffer[]): void {
  if (isLargeBinary(value)) {
    const head = Buffer.allocUnsafe(5);
    head[0] = 0xc6;
    head.writeUInt32BE(value.length, 1);
    pieces.push(head, value);
  } else if (Array.isArray(value) && hasLargePart(value)) {
    const head = Buffer.allocUnsafe(5);
    head[0] = 0xdd;
    head.writeUInt32BE(value.length, 1);
    pieces.push(head);
    for (const item of value) addPieces(item, pieces);
  } else {
    pieces.push(packr.pack(value));
  }
}

/** The same in one buffer, of the right size at once. */
export function packOnce(value: unknown): Buffer {
  const pieces = packPieces(value);
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
}

export function unpack(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch {
    return undefined;
  }
}
