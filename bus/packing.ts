import { addExtension, Packr } from 'msgpackr';

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
  return joinSmall(pieces);
}

/** The same bytes in fewer pieces: each costs whoever sends it as much as copying some thousand bytes. */
export function joinSmall(pieces: readonly Buffer[]): Buffer[] {
  const joined: Buffer[] = [];
  let small: Buffer[] = [];
  const flush = (): void => {
    if (small.length > 0) joined.push(small.length === 1 ? (small[0] as Buffer) : Buffer.concat(small));
    small = [];
  };
  for (const piece of pieces) {
    if (piece.length < PIECE_BYTES) small.push(piece);
    else {
      flush();
      joined.push(piece);
    }
  }
  flush();
  return joined;
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

/** Stands where a large binary was that travels beside the rest. */
class Apart {
  readonly isApart = true;
}

const APART_TYPE = 1;
/** Of what is being unpacked: what travelled beside it, and how much of that has found its place. */
let beside: readonly Buffer[] = [];
let placed = 0;

addExtension({ Class: Apart, type: APART_TYPE, pack: () => Buffer.alloc(0), unpack: () => beside[placed++] });

/** Arrays of arrays as one piece of msgpack, and their large binaries, which are not copied, in order. */
export function packApart(value: unknown): [packed: Buffer, ...binaries: Buffer[]] {
  if (!hasLargePart(value)) return [packr.pack(value)];
  const binaries: Buffer[] = [];
  const without = (part: unknown): unknown => {
    if (isLargeBinary(part)) {
      binaries.push(part);
      return new Apart();
    }
    return Array.isArray(part) && hasLargePart(part) ? part.map(without) : part;
  };
  return [packr.pack(without(value)), ...binaries];
}

/** What `packApart` was given; undefined when the binaries are not those of the rest. */
export function unpackApart(packed: Uint8Array, binaries: readonly Buffer[]): unknown {
  beside = binaries;
  placed = 0;
  const value = unpack(packed);
  const isWhole = placed === binaries.length;
  beside = [];
  return isWhole ? value : undefined;
}

export function unpack(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch {
    return undefined;
  }
}
