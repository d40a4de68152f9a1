/**
 * What a process had in the files behind its descriptors 1 and 2 when it died: C code's last words, the interpreter's own about a
 * crash. The runtime can send them no more, so the pool keeps the files open and reads them then.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type OutputStream, recordEntry } from '../bus/outputRecord.js';

const STREAMS: readonly OutputStream[] = ['stdout', 'stderr'];
/** Lines of the interpreter's crash report about the platform's own code, which is always at the bottom of the stack. */
const OWN_FRAME = /^ {2}File ".*(?:\/mpcsfaas\/runtime\w*\.py|<frozen runpy>)", line \d+ in .*\n?/gm;
const CRASH_REPORT = /Fatal Python error: [^]*/;

export class LastWords {
  private readonly files: number[] = [];

  /** Opens the files of a live process by its descriptors' numbers. Without /proc there are no last words. */
  open(pid: number, descriptors: readonly number[]): void {
    try {
      for (const fd of descriptors) this.files.push(openSync(`/proc/${pid}/fd/${fd}`, 'r'));
    } catch {
      this.close();
    }
  }

  /**
   * Entries of an output record with what lies beyond `taken` in each file, together at most `limit` bytes of text; and the
   * interpreter's report, where it crashed.
   */
  read(taken: readonly number[], limit: number, atMs: number): { entries: Buffer; crashReport?: string } {
    const entries: Buffer[] = [];
    let report: string | undefined;
    let room = limit;
    this.files.forEach((file, index) => {
      const from = taken[index] ?? 0;
      const length = Math.min(room, fstatSync(file).size - from);
      const stream = STREAMS[index];
      if (length <= 0 || stream === undefined) return;
      let bytes = Buffer.alloc(length);
      readSync(file, bytes, 0, length, from);
      const found = stream === 'stderr' ? CRASH_REPORT.exec(bytes.toString('utf8'))?.[0] : undefined;
      if (found !== undefined) {
        report = found.replace(OWN_FRAME, '');
        bytes = Buffer.from(bytes.toString('utf8').replace(found, report));
      }
      room -= bytes.length;
      entries.push(recordEntry({ atMs, stream, bytes }));
    });
    return { entries: Buffer.concat(entries), ...(report !== undefined && { crashReport: report }) };
  }

  close(): void {
    for (const file of this.files.splice(0)) closeSync(file);
  }
}
