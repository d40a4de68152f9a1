import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../bus/config.js';
import { PACKAGE_ROOT } from '../bus/packageRoot.js';
import { CONFIG_VARIABLE, readConfigFile } from './security/configFile.js';

/** Where `make setup` writes which Python it chose. */
const RECORDED_PYTHON = join(PACKAGE_ROOT, '.platform', 'python');

/**
 * The variables a command works with: the process' own, what its options say instead, what the deployment's file says where neither does,
 * and the Python of the set-up where none is named. The only reader of `process.env`. @throws StartError when that file cannot be read
 */
export function environment(overrides: Environment = {}): Environment {
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined);
  const env: Record<string, string | undefined> = { ...process.env, ...Object.fromEntries(given) };
  const file = env[CONFIG_VARIABLE];
  if (file !== undefined && file !== '') {
    for (const [name, value] of Object.entries(readConfigFile(file))) if ((env[name] ?? '') === '') env[name] = value;
  }
  if (env['PYTHON'] === undefined || env['PYTHON'] === '') env['PYTHON'] = recordedPython() ?? 'python3';
  return env;
}

function recordedPython(): string | undefined {
  try {
    const python = readFileSync(RECORDED_PYTHON, 'utf8').trim();
    return python === '' ? undefined : python;
  } catch {
    return undefined;
  }
}
