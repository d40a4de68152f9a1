import type { PythonPoolOptions } from '../poolOptions.js';
import { runtimeEnvironment, runtimeFolder } from '../pythonEnvironment.js';
import { bubblewrapSandbox } from './bubblewrap.js';
import { PrivateFolders } from './privateFolders.js';
import { DEFAULT_SANDBOX, type ExitStatus, type Sandbox, type Spawn } from './sandboxOptions.js';
import { chooseUser, type Identity } from './sandboxUser.js';
import { runtimeArguments, runtimeSandbox, type SandboxParts } from './runtimeLaunch.js';

/** @throws Error with a sentence that says what to do, where the sandbox cannot be had: nothing runs with less than was asked for */
export async function openSandbox(pool: PythonPoolOptions, warn: (message: string) => void): Promise<Sandbox> {
  const options = { ...DEFAULT_SANDBOX, ...pool.sandbox };
  const environment = runtimeEnvironment(pool);
  const parts = { python: pool.python, options, pool, environment, runtimeFolder: runtimeFolder(), warn };
  if (options.kind === 'none') return unconfined(parts);
  return options.kind === 'bubblewrap' ? bubblewrapSandbox(parts) : processSandbox(parts);
}

const itself = (status: ExitStatus): ExitStatus => status;

function unconfined({ python, environment }: SandboxParts): Sandbox {
  return {
    enclose: (token) => ({
      spawn: { file: python, args: runtimeArguments(token, process.pid), environment },
      wrappers: 0,
      exitOf: itself,
      ranOutOfMemory: () => false,
      leave: () => undefined,
    }),
    close: () => Promise.resolve(),
  };
}

function processSandbox(parts: SandboxParts): Sandbox {
  const { python, options, pool, environment, runtimeFolder } = parts;
  const folders = new PrivateFolders();
  const cwd = environment['MPCSFAAS_CWD'] ?? '/';
  const reach = { python, runtimeFolder, environment, folders: [cwd, ...(pool.pythonPath ?? [])] };
  let user: Identity | undefined;
  try {
    const chosen = chooseUser(options.user, { ...reach, traversed: folders.base });
    user = chosen.identity;
    if (chosen.warning !== undefined) parts.warn(chosen.warning);
  } catch (error) {
    void folders.close();
    throw error;
  }
  return {
    enclose: (token) => {
      const folder = folders.make(user);
      // Root's home is not another user's.
      const home = user === undefined ? {} : { HOME: folder };
      const limits = runtimeSandbox(options, user?.uid, pool.slots);
      const spawn: Spawn = {
        file: python,
        args: runtimeArguments(token, process.pid),
        environment: { ...environment, ...home, TMPDIR: folder, MPCSFAAS_SANDBOX: JSON.stringify(limits) },
        ...user,
      };
      return {
        spawn,
        wrappers: 0,
        exitOf: itself,
        ranOutOfMemory: () => false,
        leave: () => {
          folders.remove(folder);
        },
      };
    },
    close: () => folders.close(),
  };
}
