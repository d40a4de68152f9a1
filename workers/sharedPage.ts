/**
 * The page shared with one runtime process (words: see `python/mpcsfaas/runtime_protocol.py`).
 *
 * It answers, without asking the process, which of the tasks sent ahead it has begun; and takes back those it has not.
 * The file has no name any more once it is open, so nothing is left behind however this process ends.
 */
import { randomBytes } from 'node:crypto';
import { accessSync, closeSync, constants, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PAGE_BYTES = 4096;
const REVOKED_OFFSET = 4;
const DRAINED_OFFSET = 12;
const MEMORY_FILES = '/dev/shm';

export class SharedPage {
  /** Open descriptor, for the process to inherit. */
  readonly fd: number;
  private revokedTo = 0;
  private closed = false;
  private lastCurrent = 0;
  private readonly word = Buffer.alloc(4);
  private readonly range = Buffer.alloc(8);

  constructor() {
    const path = join(memoryFolder(), `mpcsfaas-${process.pid}-${randomBytes(8).toString('hex')}`);
    this.fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    ftruncateSync(this.fd, PAGE_BYTES);
  }

  /** Sequence of the task that the process began last, 0 before the first. Stays readable after `close`. */
  current(): number {
    if (!this.closed) {
      readSync(this.fd, this.word, 0, 4, 0);
      this.lastCurrent = this.word.readUInt32LE(0);
    }
    return this.lastCurrent;
  }

  /** Whether the process has begun a task after the revoked ones, so that others can be revoked. */
  hasPassedRevoked(): boolean {
    return this.current() >= this.revokedTo;
  }

  /** How much of the files behind 1 and 2 the process has taken out, bytes. Not after `close`. */
  drained(): [stdout: number, stderr: number] {
    readSync(this.fd, this.range, 0, 8, DRAINED_OFFSET);
    return [this.range.readUInt32LE(0), this.range.readUInt32LE(4)];
  }

  /**
   * Revokes tasks `from` <= sequence < `to` and returns which the process has begun last, or undefined where revoking is
   * not possible yet: there is room for one range, and the process may still have to pass the previous one.
   * Tasks of the range above the returned sequence will not start. If that sequence itself lies in the range, the process
   * is just deciding, and answers with a result or with SKIPPED.
   */
  revoke(from: number, to: number): number | undefined {
    if (this.closed || !this.hasPassedRevoked()) return undefined;
    this.range.writeUInt32LE(from, 0);
    this.range.writeUInt32LE(to, 4);
    writeSync(this.fd, this.range, 0, 8, REVOKED_OFFSET);
    this.revokedTo = to;
    return this.current();
  }

  close(): void {
    if (this.closed) return;
    this.current();
    this.closed = true;
    closeSync(this.fd);
  }
}

function memoryFolder(): string {
  try {
    accessSync(MEMORY_FILES, constants.W_OK);
    return MEMORY_FILES;
  } catch {
    return tmpdir();
  }
}
