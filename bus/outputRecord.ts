/**
 * How what a task prints is written down: by the Python runtime (`runtime_output.py` makes the entries), in Redis, and on its way
 * to whoever follows the task live.
 *
 *     record  u8 version, 1 | u32 attempt | entries
 *     entry   u8 kind | f64 wall clock of the worker, ms since the epoch | u32 length | bytes
 *     kind    1 stdout, 2 stderr, 3 nothing more was kept: the limit was reached (length 0)
 *
 * Little-endian. A record only ever grows at its end, so a reader that has its first n bytes goes on from byte n, wherever the
 * rest comes from: what is live and what is stored are the same bytes.
 */
const VERSION = 1;
export const RECORD_HEAD_BYTES = 5;
const ENTRY_HEAD_BYTES = 13;
const KINDS = { stdout: 1, stderr: 2, cut: 3 } as const;

/** How far live output may be ahead of what its reader has said to have; it says so again and again, and a slow one gets no more. */
export const FOLLOW_WINDOW_BYTES = 1024 * 1024;
/** Bytes of one part of live output. */
export const FOLLOW_PART_BYTES = 64 * 1024;

export type OutputStream = 'stdout' | 'stderr';

/** What was printed in one go; may be several lines, or a part of one. */
export interface OutputPiece {
  atMs: number;
  stream: OutputStream;
  bytes: Buffer;
}

/** A fence begins with the number of its attempt. */
export const attemptOf = (fence: string): number => Math.max(0, Number.parseInt(fence, 10) || 0);

export function recordHead(attempt: number): Buffer {
  const head = Buffer.allocUnsafe(RECORD_HEAD_BYTES);
  head[0] = VERSION;
  head.writeUInt32LE(attempt, 1);
  return head;
}

export function recordEntry({ atMs, stream, bytes }: OutputPiece): Buffer {
  return Buffer.concat([entryHead(KINDS[stream], atMs, bytes.length), bytes]);
}

export const cutEntry = (atMs: number): Buffer => entryHead(KINDS.cut, atMs, 0);

function entryHead(kind: number, atMs: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(ENTRY_HEAD_BYTES);
  head[0] = kind;
  head.writeDoubleLE(atMs, 1);
  head.writeUInt32LE(length, 9);
  return head;
}

/** Reads a record piece by piece, however it is cut. What is no record yields nothing from there on. */
export class OutputReader {
  /** Of the record; undefined before its head has come. */
  attempt: number | undefined;
  /** The task printed more than is kept. */
  truncated = false;
  private rest = Buffer.alloc(0);
  private isBroken = false;
  private readBytes = 0;

  /** Bytes of the record taken in so far: where to go on. */
  get position(): number {
    return this.readBytes;
  }

  push(bytes: Buffer): OutputPiece[] {
    this.readBytes += bytes.length;
    let data = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    const pieces: OutputPiece[] = [];
    if (this.attempt === undefined && data.length >= RECORD_HEAD_BYTES) {
      this.isBroken = data[0] !== VERSION;
      this.attempt = data.readUInt32LE(1);
      data = data.subarray(RECORD_HEAD_BYTES);
    }
    while (this.attempt !== undefined && !this.isBroken && data.length >= ENTRY_HEAD_BYTES) {
      const end = ENTRY_HEAD_BYTES + data.readUInt32LE(9);
      if (data.length < end) break;
      this.take(data.subarray(0, end), pieces);
      data = data.subarray(end);
    }
    // Copied: a slice would keep all that it came with.
    this.rest = this.isBroken ? Buffer.alloc(0) : Buffer.from(data);
    return pieces;
  }

  private take(entry: Buffer, pieces: OutputPiece[]): void {
    const atMs = entry.readDoubleLE(1);
    if (entry[0] === KINDS.cut) this.truncated = true;
    else if (entry[0] === KINDS.stdout || entry[0] === KINDS.stderr) {
      const stream = entry[0] === KINDS.stdout ? 'stdout' : 'stderr';
      pieces.push({ atMs, stream, bytes: entry.subarray(ENTRY_HEAD_BYTES) });
    } else this.isBroken = true;
  }
}

/** What a record says, read at once. */
export function readRecord(record: Buffer): { attempt: number; pieces: OutputPiece[]; truncated: boolean } {
  const reader = new OutputReader();
  const pieces = reader.push(record);
  return { attempt: reader.attempt ?? 0, pieces, truncated: reader.truncated };
}

/** The bytes that a record holds, streams interleaved as they were printed. */
export const printedBytes = (record: Buffer): Buffer =>
  Buffer.concat(readRecord(record).pieces.map(({ bytes }) => bytes));
