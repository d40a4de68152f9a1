/** The sandbox `bubblewrap`: each Python process in namespaces of its own, with a file system of what it needs and no more. */
import { execFile } from 'node:child_process';
import { constants, homedir, totalmem } from 'node:os';
import { promisify } from 'node:util';
import type { PythonPoolOptions } from '../poolOptions.js';
import { ControlGroups } from './controlGroups.js';
import { fileSystem } from './fileSystem.js';
import { runtimeArguments, runtimeSandbox, type SandboxParts } from './runtimeLaunch.js';
import { findProgram, placeOf, type PythonPlace } from './runtimePaths.js';
import type { ExitStatus, Sandbox } from './sandboxOptions.js';
import { identityOf, type Identity, isRoot } from './sandboxUser.js';

const PROBE_TIMEOUT_MS = 30_000;
/** What knows the size of a tmpfs. */
const LEAST_VERSION = [0, 7];
/** bwrap itself, and the first process of the namespace, which it is as well. */
const WRAPPERS = 2;
/** A shell is in the groups before the kernel sees bwrap; each of its numbers counts. */
const ENTER_GROUPS = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 70; shift; done; shift; exec "$@"';
const FIRST_PROCESS = 1;
const LEAST_MEMORY_BYTES = 256 * 1024 ** 2;
const SIGNALED = 128;
/** Inside, the runtime does the same: its user must be able to read what it imports. */
const PROBE = 'from mpcsfaas import runtime_sandbox as s; s.enter(s.take()); import dill, mpcsfaas.runtime_loop';

/** @throws Error with a sentence that says why it cannot be had on this machine, and what to do */
export async function bubblewrapSandbox(parts: SandboxParts): Promise<Sandbox> {
  const { options, pool, runtimeFolder, environment: given } = parts;
  const bwrap = await requireBubblewrap(given['PATH']);
  const user = chooseUser(options.user);
  const cwd = workingDirectory(given['MPCSFAAS_CWD'] ?? '/');
  const environment = { ...given, MPCSFAAS_CWD: cwd, HOME: '/tmp', TMPDIR: '/tmp' };
  const place = await placeOf(parts.python, runtimeFolder, given);
  const command = (program: readonly string[]): string[] => [
    bwrap,
    ...namespaces(options.network, user),
    ...fileSystem({
      needed: [...place.paths, runtimeFolder, ...(pool.pythonPath ?? [])],
      readable: [...(cwd === '/tmp' ? [] : [cwd]), ...options.readable],
      hidden: options.hidden,
      temporaryBytes: options.temporaryBytes,
    }),
    ...['--chdir', runtimeFolder, '--', place.command, ...program],
  ];
  const told = (): string => {
    const limits = { ...runtimeSandbox(options, user?.uid, pool.slots), clean: ['/tmp', '/dev/shm'] };
    return JSON.stringify({ ...limits, ...(user && { user: [user.uid, user.gid] }) });
  };
  await probe(command(['-c', PROBE]), { ...environment, MPCSFAAS_SANDBOX: told() }, place);
  const groups = ControlGroups.open();
  if (groups.missing.length > 0) parts.warn(withoutGroups(groups.missing));
  const limits = {
    memoryBytes: memoryOf(pool),
    processes: options.maxProcesses === 0 ? 0 : options.maxProcesses + WRAPPERS,
  };
  return {
    enclose: (token) => {
      const group = groups.make(limits);
      const args = [
        '-c',
        ENTER_GROUPS,
        'sh',
        ...group.entries,
        '--',
        ...command(runtimeArguments(token, FIRST_PROCESS)),
      ];
      return {
        spawn: { file: '/bin/sh', args, environment: { ...environment, MPCSFAAS_SANDBOX: told() } },
        wrappers: WRAPPERS,
        exitOf: whatBubblewrapTells,
        ranOutOfMemory: () => group.ranOutOfMemory(),
        leave: () => {
          group.remove();
        },
      };
    },
    close: () => {
      groups.close();
      return Promise.resolve();
    },
  };
}

/** All slots together shall not take more than the machine has. */
function memoryOf({ maxMemoryBytes = 0, slots }: PythonPoolOptions): number {
  return maxMemoryBytes === 0 ? Math.max(LEAST_MEMORY_BYTES, Math.floor(totalmem() / slots)) : maxMemoryBytes;
}

function namespaces(network: boolean, user: Identity | undefined): string[] {
  const unshared = ['pid', 'ipc', 'uts', 'cgroup-try', ...(network ? [] : ['net'])].map((name) => `--unshare-${name}`);
  // Root needs no namespace of users, and becomes another user inside; for that alone it keeps two capabilities until then.
  const rights = isRoot() ? ['--cap-drop', 'ALL'] : ['--unshare-user', '--disable-userns', '--cap-drop', 'ALL'];
  const change = isRoot() && user ? ['--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID'] : [];
  return [...unshared, ...rights, ...change, '--die-with-parent'];
}

function chooseUser(name = 'nobody'): Identity | undefined {
  if (!isRoot()) return undefined;
  const identity = identityOf(name);
  if (identity === undefined)
    throw new Error(`There is no user ${name} for functions: name another with SANDBOX_USER.`);
  return identity.uid === 0 ? undefined : identity;
}

/** A whole home or machine is not shown to functions because the worker happens to be started there. */
function workingDirectory(cwd: string): string {
  return homedir() === cwd || homedir().startsWith(cwd === '/' ? cwd : `${cwd}/`) ? '/tmp' : cwd;
}

async function requireBubblewrap(searchPath: string | undefined): Promise<string> {
  const advice = 'run `make setup-sandbox`, install the package bubblewrap, or start the worker with --sandbox process';
  const bwrap = findProgram('bwrap', searchPath);
  if (bwrap === undefined) throw new Error(`SANDBOX=bubblewrap: there is no bwrap on this machine: ${advice}.`);
  const { stdout } = await promisify(execFile)(bwrap, ['--version'], { timeout: PROBE_TIMEOUT_MS });
  const version = /(\d+)\.(\d+)/.exec(stdout)?.slice(1).map(Number) ?? [];
  const [major = 0, minor = 0] = version;
  const [leastMajor = 0, leastMinor = 0] = LEAST_VERSION;
  if (major < leastMajor || (major === leastMajor && minor < leastMinor))
    throw new Error(
      `SANDBOX=bubblewrap: bwrap ${LEAST_VERSION.join('.')} or later is needed, this is ${stdout.trim()}.`,
    );
  return bwrap;
}

async function probe([bwrap = '', ...args]: string[], env: NodeJS.ProcessEnv, { command }: PythonPlace): Promise<void> {
  try {
    await promisify(execFile)(bwrap, args, { env, timeout: PROBE_TIMEOUT_MS });
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().split('\n').at(-1) : '';
    const why =
      said?.startsWith('bwrap:') === true
        ? 'The kernel, or the container this runs in, refuses it'
        : `${command} does not run in it`;
    throw new Error(
      `SANDBOX=bubblewrap cannot be had here. ${why}: ${said === '' || said === undefined ? String(error) : said}. Allow namespaces, or start the worker with --sandbox process.`,
      { cause: error },
    );
  }
}

/** It tells the signal that ended the process as shells do. */
function whatBubblewrapTells({ exitCode, signal }: ExitStatus): ExitStatus {
  if (signal !== null || exitCode === null || exitCode <= SIGNALED) return { exitCode, signal };
  const [name] = Object.entries(constants.signals).find(([, number]) => number === exitCode - SIGNALED) ?? [];
  return name === undefined ? { exitCode, signal } : { exitCode: null, signal: name as NodeJS.Signals };
}

function withoutGroups(missing: readonly string[]): string {
  const what = missing.map((name) => (name === 'pids' ? 'processes' : name)).join(' and ');
  return `this machine gives the worker no cgroup for ${what}: limits hold for each process of a function by itself, not for all together`;
}
