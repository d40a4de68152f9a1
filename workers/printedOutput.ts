import { attemptOf, recordHead, RECORD_HEAD_BYTES } from '../bus/outputRecord.js';

const NOTHING = Buffer.alloc(0);

/** What one attempt has printed so far: an output record (`bus/outputRecord.ts`) that grows. Empty until something is printed. */
export class PrintedOutput {
  private readonly chunks: Buffer[] = [];
  private size = 0;

  constructor(private readonly fence: string) {}

  /** Length of the record, bytes. */
  get length(): number {
    return this.size;
  }

  /** @param entries whole entries of a record */
  append(entries: Buffer): void {
    if (this.size === 0) {
      this.chunks.push(recordHead(attemptOf(this.fence)));
      this.size = RECORD_HEAD_BYTES;
    }
    this.chunks.push(entries);
    this.size += entries.length;
  }

  record(): Buffer {
    return this.size === 0 ? NOTHING : Buffer.concat(this.chunks, this.size);
  }

  /** The record from a byte on, at most `limit` bytes of it. Cheap near the end, where followers read. */
  slice(from: number, limit: number): Buffer {
    if (from >= this.size) return NOTHING;
    const pieces: Buffer[] = [];
    let start = this.size;
    for (let index = this.chunks.length - 1; index >= 0 && start > from; index--) {
      const chunk = this.chunks[index] as Buffer;
      start -= chunk.length;
      pieces.unshift(chunk);
    }
    const skipped = from - start;
    return Buffer.concat(pieces).subarray(skipped, skipped + limit);
  }
}
