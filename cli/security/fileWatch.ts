import { unwatchFile, watchFile } from 'node:fs';

/** How soon a change of a key file or certificate is noticed; by looking, which works on every file system. */
const LOOK_MS = 500;

/** Calls back when a file has changed. Returns how to stop. */
export function watchForChanges(paths: readonly string[], changed: () => void): () => void {
  const listener = (now: { mtimeMs: number; ino: number }, before: { mtimeMs: number; ino: number }): void => {
    if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) changed();
  };
  for (const path of paths) watchFile(path, { interval: LOOK_MS, persistent: false }, listener);
  return () => {
    for (const path of paths) unwatchFile(path, listener);
  };
}
