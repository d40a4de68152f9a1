/** Another user for functions where the worker runs as root. */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';

export interface Identity {
  uid: number;
  gid: number;
}

const DEFAULT_USER = 'nobody';
const PROBE_TIMEOUT_MS = 30_000;

/** What must be within the user's reach. */
export interface Reach {
  python: string;
  runtimeFolder: string;
  environment: NodeJS.ProcessEnv;
  /** To be read; what is not there is not missed. */
  folders: readonly string[];
  /** To be passed through. */
  traversed: string;
}

export interface ChosenUser {
  /** Absent: the worker's own. */
  identity?: Identity;
  /** Why functions run as root although nobody asked for it. */
  warning?: string;
}

export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * Whom functions run as. Below root's home, say, no other user reaches a virtual environment: where a user was asked for that is an error,
 * otherwise functions stay root's, with a warning.
 * @throws Error with a sentence that says what to do
 */
export function chooseUser(name: string | undefined, reach: Reach): ChosenUser {
  if (!isRoot()) {
    if (name === undefined || name === userName()) return {};
    throw new Error(`SANDBOX_USER=${name}: only a worker that runs as root can run functions as another user.`);
  }
  const wanted = name ?? DEFAULT_USER;
  const identity = identityOf(wanted);
  if (identity === undefined) {
    if (name !== undefined) throw new Error(`SANDBOX_USER=${name}: there is no such user on this machine.`);
    return {
      warning: `there is no user ${wanted}: functions run as root; create a user and name it with SANDBOX_USER`,
    };
  }
  if (identity.uid === 0) return {};
  const problem = unreachable(identity, reach);
  if (problem === undefined) return { identity };
  if (name !== undefined) throw new Error(`SANDBOX_USER=${name} cannot run functions: ${problem}`);
  const advice =
    'put Python, the package and the import path where others may read them, or start the worker as a user of its own';
  return { warning: `functions run as root, since ${wanted} cannot: ${problem} To have it otherwise, ${advice}.` };
}

export function identityOf(name: string): Identity | undefined {
  try {
    const [uid, gid] = ['-u', '-g'].map((flag) =>
      Number(execFileSync('id', [flag, '--', name], { encoding: 'utf8', stdio: 'pipe' })),
    );
    return uid === undefined || gid === undefined ? undefined : { uid, gid };
  } catch {
    return undefined;
  }
}

function userName(): string {
  return execFileSync('id', ['-un'], { encoding: 'utf8' }).trim();
}

/** In the words of who tried: none when the user can do all that a runtime does at its start. */
function unreachable(
  { uid, gid }: Identity,
  { python, runtimeFolder, environment, folders, traversed }: Reach,
): string | undefined {
  const script =
    'import os, sys, dill, mpcsfaas.runtime_loop; os.stat(sys.argv[1]); [os.listdir(p) for p in sys.argv[2:]]';
  const present = folders.filter((folder) => statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true);
  try {
    execFileSync(python, ['-c', script, `${traversed}/.`, ...present], {
      ...{ cwd: runtimeFolder, env: environment, uid, gid, timeout: PROBE_TIMEOUT_MS },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'stderr' in error && typeof error.stderr === 'string' && error.stderr !== '')
      return `Python says: ${error.stderr.trim().split('\n').at(-1) ?? ''}.`;
    return `it cannot start ${python}.`;
  }
}
