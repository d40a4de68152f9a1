/** What a Python process is started with: where the runtime lies, and an environment without the platform's secrets. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve, delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PythonPoolOptions } from './poolOptions.js';
import { DEFAULT_SANDBOX } from './sandbox/sandboxOptions.js';

/** Where the platform's own stores and servers are, and how Node was told to run. */
const WITHHELD_PREFIXES = [
  'REDIS',
  'NATS',
  'NODE_',
  'TLS_',
  'API_KEY',
  'FIRST_API_KEY',
  'DISPATCHER_',
  'WORKER_',
  'MPCSFAAS_CONFIG',
];
/** With it, `python -m` would not find the runtime in its starting folder. */
const WITHHELD = ['PYTHONSAFEPATH'];
export const DEFAULT_MAX_OUTPUT_BYTES = 1 << 20;
const DEFAULT_MAX_RESULT_BYTES = 64 << 20;

/** The folder that holds the package `mpcsfaas`, found from the compiled files as well as from the sources. */
export function runtimeFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, 'python');
    if (existsSync(join(candidate, 'mpcsfaas', 'runtime.py'))) return candidate;
    if (folder === dirname(folder))
      throw new Error('The folder python/ of MPCSFaaS, which holds the runtime, is missing: restore it.');
  }
}

/** What Python, its libraries and the programs they call are told of the machine; none of it is secret. */
const ALLOWED = new Set(['PATH', 'HOME', 'LANG', 'LANGUAGE', 'TZ', 'LD_LIBRARY_PATH', 'VIRTUAL_ENV', 'CONDA_PREFIX']);
const ALLOWED_PREFIXES = ['LC_', 'PYTHON', 'SSL_CERT_', 'OMP_', 'OPENBLAS_', 'MKL_', 'NUMEXPR_', 'CUDA_', 'NVIDIA_'];

/**
 * Functions are strangers' code: they see neither the worker's credentials nor its settings, and outside of `none` nothing of its
 * environment but what Python needs and what the worker was told to hand on.
 */
export function runtimeEnvironment(options: PythonPoolOptions): NodeJS.ProcessEnv {
  // eslint-disable-next-line no-restricted-syntax -- not read for settings, but handed on
  const inherited = options.environment ?? process.env;
  const { kind, environment: handedOn } = { ...DEFAULT_SANDBOX, ...options.sandbox };
  const cwd = resolve(options.cwd ?? process.cwd());
  const absolute = (entries: string[]): string => entries.map((entry) => resolve(cwd, entry)).join(delimiter);
  const isSeen = kind === 'none' ? (): boolean => true : isAllowed;
  const environment = Object.fromEntries(
    Object.entries(inherited).filter(([name]) => !isWithheld(name) && isSeen(name)),
  );
  for (const entry of handedOn) {
    const [name, value] = splitOnce(entry);
    const given = value ?? inherited[name];
    if (given !== undefined) environment[name] = given;
  }
  // Relative entries mean the worker's folder, while the process starts in the runtime's.
  const inheritedPath = (inherited['PYTHONPATH'] ?? '').split(delimiter).filter((entry) => entry !== '');
  if (inheritedPath.length > 0) environment['PYTHONPATH'] = absolute(inheritedPath);
  return {
    ...environment,
    MPCSFAAS_CWD: cwd,
    MPCSFAAS_PYTHONPATH: absolute(options.pythonPath ?? []),
    MPCSFAAS_MAX_OUTPUT_BYTES: String(options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES),
    MPCSFAAS_MAX_RESULT_BYTES: String(options.maxResultBytes ?? DEFAULT_MAX_RESULT_BYTES),
    MPCSFAAS_MAX_MEMORY_BYTES: String(options.maxMemoryBytes ?? 0),
  };
}

function splitOnce(entry: string): [name: string, value: string | undefined] {
  const at = entry.indexOf('=');
  return at < 0 ? [entry, undefined] : [entry.slice(0, at), entry.slice(at + 1)];
}

const isAllowed = (name: string): boolean =>
  ALLOWED.has(name) || ALLOWED_PREFIXES.some((prefix) => name.startsWith(prefix));

function isWithheld(name: string): boolean {
  return WITHHELD.includes(name) || WITHHELD_PREFIXES.some((prefix) => name.startsWith(prefix));
}
