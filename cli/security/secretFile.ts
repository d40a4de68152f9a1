import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Makes a folder that its owner alone may enter. */
export function makeSecretFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
}

/** Writes a file that its owner alone may read, whole or not at all: who reads it meanwhile sees what was there before. */
export function writeSecretFile(path: string, content: string, mode = 0o600): void {
  makeIfMissing(dirname(path));
  const draft = `${path}.${process.pid}.new`;
  const file = openSync(draft, 'w', mode);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}

function makeIfMissing(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) makeSecretFolder(folder);
}
