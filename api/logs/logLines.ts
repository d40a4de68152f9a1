import type { OutputPiece, OutputStream } from '../../bus/outputRecord.js';

export interface LogLine {
  /** When its beginning was printed, ms since the epoch, by the clock of the worker. */
  atMs: number;
  stream: OutputStream;
  /** With its end, `\n`, where it has one. */
  text: string;
}

const NEWLINE = 0x0a;

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

export const linesOf = (pieces: readonly OutputPiece[]): LogLine[] => {
  const lines = new LogLines();
  return [...lines.push(pieces), ...lines.finish()];
};
