import { delimiter, resolve } from 'node:path';
import { type Environment, ConfigError, flag, integer, MEBIBYTE, oneOf, size, text } from './values.js';

export const SANDBOXES = ['none', 'process', 'bubblewrap'] as const;
/**
 * - `none`: functions may do what the worker's user may
 * - `process`: limits, a clean environment, a private temporary folder, another user when the worker is root's
 * - `bubblewrap`: namespaces as well: no other process, no network and no file but what Python and the functions need
 */
export type SandboxKind = (typeof SANDBOXES)[number];

/** How far the functions of a worker are kept from its machine. */
export interface SandboxConfig {
  /** `SANDBOX`: default process. */
  readonly sandbox: SandboxKind;
  /** `SANDBOX_USER`: whom functions run as where the worker runs as root. Default: nobody, or root where nobody cannot run Python. */
  readonly sandboxUser: string | undefined;
  /** `SANDBOX_NETWORK`: 1 lets functions in `bubblewrap` use the network. Default 0. */
  readonly sandboxNetwork: boolean;
  /** `SANDBOX_READ`: absolute paths, separated by colons, that functions in `bubblewrap` may read besides what they need. Default none. */
  readonly sandboxReadable: readonly string[];
  /** `SANDBOX_TMP`: what fits into /tmp of a process in `bubblewrap`, held in memory. Default 256M. */
  readonly sandboxTemporaryBytes: number;
  /**
   * `WORKER_ENV`: NAME or NAME=value, separated by commas, or by line ends where a value holds a comma: what functions see of the
   * environment besides what Python and its libraries need. Default none.
   */
  readonly workerEnvironment: readonly string[];
  /** `MAX_OPEN_FILES`: of a Python process. Default 1024. */
  readonly maxOpenFiles: number;
  /** `MAX_FILE_SIZE`: of each file that a function writes. Default 4G; 0 for no limit. */
  readonly maxFileBytes: number;
  /** `MAX_PROCESSES`: processes and threads that a Python process may have below it. Default 256; 0 for no limit. */
  readonly maxProcesses: number;
  /** `MAX_CPU_SECONDS`: CPU time of one task. Default 0: no limit. */
  readonly maxCpuSeconds: number;
}

/** The platform's own: what they hold must not come into functions' hands. */
const WITHHELD = /^(REDIS|NATS|NODE_|WORKER_|DISPATCHER_|TLS_|CREDENTIALS|FIRST_API_KEY$|MPCSFAAS_(?!SPEC_))/;

export function parseSandbox(env: Environment): SandboxConfig {
  return {
    sandbox: oneOf(env, 'SANDBOX', SANDBOXES, 'process'),
    sandboxUser: text(env, 'SANDBOX_USER', '') || undefined,
    sandboxNetwork: flag(env, 'SANDBOX_NETWORK'),
    sandboxReadable: text(env, 'SANDBOX_READ', '')
      .split(delimiter)
      .filter((path) => path !== '')
      .map((path) => resolve(path)),
    sandboxTemporaryBytes: size(env, 'SANDBOX_TMP', 256 * MEBIBYTE, MEBIBYTE),
    workerEnvironment: handedOn(env, 'WORKER_ENV'),
    maxOpenFiles: integer(env, 'MAX_OPEN_FILES', 1024, 64, 1_048_576),
    maxFileBytes: size(env, 'MAX_FILE_SIZE', 4096 * MEBIBYTE, MEBIBYTE),
    maxProcesses: integer(env, 'MAX_PROCESSES', 256, 0, 1_000_000),
    maxCpuSeconds: integer(env, 'MAX_CPU_SECONDS', 0, 0, 10 * 86_400),
  };
}

function handedOn(env: Environment, variable: string): string[] {
  const value = text(env, variable, '');
  const entries = value.split(value.includes('\n') ? '\n' : ',').filter((entry) => entry !== '');
  const wrong = entries.find((entry) => !/^[A-Za-z_]\w*(=|$)/.test(entry) || WITHHELD.test(entry));
  if (wrong === undefined) return entries;
  const allowed =
    "names or NAME=value, separated by commas, and none of the platform's own (REDIS_URL, NATS_URL, MPCSFAAS_...)";
  throw new ConfigError(variable, wrong.replace(/=.*/s, '=...'), allowed);
}
