import type { OutputPiece, OutputStream } from '../../bus/outputRecord.js';

export interface LogLine {
  /** When its beginning was printed, ms since the epoch, by the clock of the worker. */
  atMs: number;
  stream: OutputStream;
  /** With its end, `\n`, where it has one. */
  text: string;
}

const NEWLINE = 0x0a;

/** Bytes of a record that are made lines in one go: some ten milliseconds' work if all of them are ends of lines. */
const SLICE_BYTES = 4 * 1024;
/** What a piece costs beside its bytes. */
const PIECE_BYTES = 16;

/** The same in parts that are little work each: between two of them others may have their turn. */
export function* slicesOf(pieces: readonly OutputPiece[]): Generator<OutputPiece[]> {
  let slice: OutputPiece[] = [];
  let room = SLICE_BYTES;
  for (const { atMs, stream, bytes } of pieces) {
    for (let from = 0; from < bytes.length;) {
      const part = bytes.subarray(from, from + room);
      slice.push({ atMs, stream, bytes: part });
      from += part.length;
      room -= part.length + PIECE_BYTES;
      if (room > 0) continue;
      yield slice;
      slice = [];
      room = SLICE_BYTES;
    }
  }
  if (slice.length > 0) yield slice;
}

/** Makes lines of what was printed in pieces; each stream has its own unfinished line. */
export class LogLines {
  private readonly unfinished: Record<OutputStream, { atMs: number; pieces: Buffer[] } | undefined> = {
    stdout: undefined,
    stderr: undefined,
  };

  /** The lines that have come to their end, in the order of their ends. */
  push(pieces: readonly OutputPiece[]): LogLine[] {
    const lines: LogLine[] = [];
    for (const { atMs, stream, bytes } of pieces) {
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        this.add(stream, atMs, bytes.subarray(start, end + 1));
        lines.push(...this.take(stream));
        start = end + 1;
      }
      if (start < bytes.length) this.add(stream, atMs, bytes.subarray(start));
    }
    return lines;
  }

  /** What has no end, when nothing more comes. */
  finish(): LogLine[] {
    return [...this.take('stdout'), ...this.take('stderr')].sort((a, b) => a.atMs - b.atMs);
  }

  private add(stream: OutputStream, atMs: number, bytes: Buffer): void {
    const line = (this.unfinished[stream] ??= { atMs, pieces: [] });
    line.pieces.push(bytes);
  }

  private take(stream: OutputStream): LogLine[] {
    const line = this.unfinished[stream];
    if (line === undefined) return [];
    this.unfinished[stream] = undefined;
    return [{ atMs: line.atMs, stream, text: Buffer.concat(line.pieces).toString('utf8') }];
  }
}
