import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../../bus/config.js';
import { MAIN } from '../../cli/actorProcess.js';
import { ChildProcess } from '../../cli/childProcess.js';

const STOP_MS = 10_000;

/** An actor in a network namespace, as if on another machine. */
export interface DistantActor {
  readonly pid: number;
  log(): string;
  stop(): Promise<void>;
}

/** Resolves when it serves. The command becomes the actor: `ip netns exec` replaces itself. */
export async function startDistantActor(
  namespace: string,
  name: string,
  args: readonly string[],
  env: Environment,
): Promise<DistantActor> {
  const directory = mkdtempSync(join(tmpdir(), 'distant-'));
  const logFile = join(directory, `${name}.log`);
  const command = ['netns', 'exec', namespace, process.execPath, '--enable-source-maps', MAIN, ...args];
  const child = await ChildProcess.launch({ name, command: 'ip', args: command, env, logFile, ipc: true });
  await new Promise<void>((resolve, reject) => {
    child.onNotice((notice) => {
      if (notice.type === 'ready') resolve();
      else reject(new Error(notice.message));
    });
    void child.exited.then((how) => reject(new Error(`${name} ended: ${how}`)));
  });
  return {
    pid: child.pid,
    log: () => readFileSync(logFile, 'utf8'),
    stop: async () => {
      await child.stop(STOP_MS);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
