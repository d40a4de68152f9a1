import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Logs grow to gigabytes: only so much of their end is read. */
const TAIL_BYTES = 64 * 1024;

/** The last line of a file, or the end of it; empty where there is none. */
export function lastLine(path: string): string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const length = readSync(file, tail, 0, tail.length, size - tail.length);
    return tail.toString('utf8', 0, length).trimEnd().split('\n').at(-1) ?? '';
  } finally {
    closeSync(file);
  }
}
