import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../bus/config.js';
import { PACKAGE_ROOT } from '../bus/packageRoot.js';

/** Where `make setup` writes which Python it chose. */
const RECORDED_PYTHON = join(PACKAGE_ROOT, '.platform', 'python');

/**
 * The variables a command works with: the process' own, what its options say instead, and the Python of the set-up where none is
 * named. The only reader of `process.env`.
 */
export function environment(overrides: Environment = {}): Environment {
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined);
  const env: Record<string, string | undefined> = { ...process.env, ...Object.fromEntries(given) };
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
