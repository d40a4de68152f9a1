import { closeSync, existsSync, fstatSync, openSync, readSync, renameSync } from 'node:fs';

const POLL_MS = 50;
/** More than this between two polls is more than anybody reads: the terminal shows the end of it, the file has all. */
const MAX_SHOWN_BYTES = 128 * 1024;

/** Stands for the beginning of a line that was skipped. */
const BEHEADED = Buffer.alloc(0);

interface FollowedFile {
  readonly name: string;
  readonly fd: number;
  /** Bytes of the file that were shown or skipped. */
  offset: number;
  /** The beginning of a line whose end has not been written yet. In bytes: it may end within a character. */
  partial: Buffer;
}

/**
 * Shows what processes append to their log files, line by line. The processes write to the files themselves, so neither a slow
 * terminal nor the end of this process touches them.
 */
export class LogTail {
  readonly #files = new Map<string, FollowedFile>();
  readonly #show: (name: string, line: string) => void;
  readonly #timer: NodeJS.Timeout;

  constructor(show: (name: string, line: string) => void) {
    this.#show = show;
    this.#timer = setInterval(() => {
      this.poll();
    }, POLL_MS);
    // Following alone is no reason for a process to live on.
    this.#timer.unref();
  }

  /** Follows a file from its present end; makes it when missing. Following it already is fine. */
  follow(name: string, path: string): void {
    if (this.#files.has(path)) return;
    const fd = openSync(path, 'a+');
    this.#files.set(path, { name, fd, offset: fstatSync(fd).size, partial: Buffer.alloc(0) });
  }

  /** Shows what is left and closes the files. */
  stop(): void {
    clearInterval(this.#timer);
    this.poll();
    for (const { fd } of this.#files.values()) closeSync(fd);
    this.#files.clear();
  }

  /** Shows what has been appended since; called by itself every few milliseconds. */
  poll(): void {
    for (const file of this.#files.values()) {
      const { size } = fstatSync(file.fd);
      const skipped = size - file.offset - MAX_SHOWN_BYTES;
      if (skipped > 0) this.#skip(file, skipped);
      if (size > file.offset) this.#read(file, size - file.offset);
    }
  }

  #skip(file: FollowedFile, length: number): void {
    this.#show(file.name, `... ${length} bytes skipped here; the log file has them`);
    file.offset += length;
    // Most likely in the middle of a line: what is left of it is not worth showing.
    file.partial = BEHEADED;
  }

  #read(file: FollowedFile, length: number): void {
    const buffer = Buffer.allocUnsafe(length);
    file.offset += readSync(file.fd, buffer, 0, length, file.offset);
    const beheaded = file.partial === BEHEADED;
    const text = beheaded ? buffer : Buffer.concat([file.partial, buffer]);
    const end = text.lastIndexOf('\n');
    if (end === -1) {
      file.partial = beheaded ? BEHEADED : text;
      return;
    }
    file.partial = text.subarray(end + 1);
    const lines = text.toString('utf8', 0, end).split('\n');
    for (const line of beheaded ? lines.slice(1) : lines) this.#show(file.name, line);
  }
}

/** Keeps the log of the run before as `<path>.1`, so that the file tells of this run only. */
export function keepPreviousLog(path: string): void {
  if (existsSync(path)) renameSync(path, `${path}.1`);
}
