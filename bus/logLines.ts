import { destination } from 'pino';

/** Lines of one event loop's worth of work, and a little more, leave in one write. */
const GATHER_MS = 25;
const GATHER_CHARS = 64 * 1024;

/** Where log lines go. */
export interface LogLines {
  write(line: string): void;
  /** Writes out what has gathered, now. */
  hurry(): void;
  /** Resolves when all is written, or after a bounded time. */
  flush(): Promise<void>;
}

/**
 * Lines to stdout, written behind: what comes within 25 ms leaves together. A write of its own for each line would cost an actor
 * more than anything else it does for a small task.
 */
export function stdoutLines(): LogLines {
  const stdout = destination({ dest: 1, sync: false });
  // A reader that has gone away (a closed terminal) must not take the actor with it.
  stdout.on('error', () => undefined);
  let gathered = '';
  let timer: NodeJS.Timeout | undefined;
  const hurry = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (gathered !== '') stdout.write(gathered);
    gathered = '';
  };
  return {
    hurry,
    write: (line) => {
      gathered += line;
      if (gathered.length > GATHER_CHARS) hurry();
      else timer ??= setTimeout(hurry, GATHER_MS);
    },
    flush: () => {
      hurry();
      return new Promise((resolve) => {
        setTimeout(resolve, 500).unref();
        stdout.flush(() => {
          resolve();
        });
      });
    },
  };
}
