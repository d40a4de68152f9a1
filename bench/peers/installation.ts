import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { PYTHON } from '../../specs/support/python.js';

const run = promisify(execFile);

/** Git does not see it, `make distclean` removes it. */
const DIRECTORY = join(PACKAGE_ROOT, '.platform', 'bench-peers');
const VENV = join(DIRECTORY, 'venv');
const NODE_DIRECTORY = join(DIRECTORY, 'node');
export const PEER_PYTHON = join(VENV, 'bin', 'python');
export { NODE_DIRECTORY };

const INSTALL_TIMEOUT_MS = 240_000;

export type Installed = { readonly version: string } | { readonly missing: string };

/** Installs a Python package into the bench's own environment, unless it is there. Never throws: a peer that is missing is said. */
export async function installPython(name: string, requirements: readonly string[]): Promise<Installed> {
  try {
    if (!existsSync(PEER_PYTHON)) {
      mkdirSync(DIRECTORY, { recursive: true });
      await run(PYTHON, ['-m', 'venv', VENV], { timeout: INSTALL_TIMEOUT_MS });
    }
    const known = await pythonVersion(name).catch(() => undefined);
    if (known !== undefined) return { version: known };
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements];
    await run(PEER_PYTHON, pip, { timeout: INSTALL_TIMEOUT_MS });
    return { version: await pythonVersion(name) };
  } catch (error) {
    return { missing: `not installed: ${lastLine(error)}` };
  }
}

/** Installs an npm package into a folder of the bench's own. */
export async function installNode(name: string): Promise<Installed> {
  const manifest = join(NODE_DIRECTORY, 'node_modules', name, 'package.json');
  try {
    if (!existsSync(manifest)) {
      mkdirSync(NODE_DIRECTORY, { recursive: true });
      // Without a manifest of its own npm would install into the project.
      writeFileSync(join(NODE_DIRECTORY, 'package.json'), '{"private":true}\n');
      const npm = ['install', '--no-audit', '--no-fund', '--no-optional', '--loglevel=error', name];
      await run('npm', npm, { cwd: NODE_DIRECTORY, timeout: INSTALL_TIMEOUT_MS });
    }
    const { stdout } = await run(process.execPath, ['-p', `require(${JSON.stringify(manifest)}).version`]);
    return { version: stdout.trim() };
  } catch (error) {
    return { missing: `not installed: ${lastLine(error)}` };
  }
}

async function pythonVersion(name: string): Promise<string> {
  const script = `from importlib.metadata import version; print(version(${JSON.stringify(name)}))`;
  const { stdout } = await run(PEER_PYTHON, ['-c', script]);
  return stdout.trim();
}

function lastLine(error: unknown): string {
  const { stderr = '', message = String(error) } = error as { stderr?: string; message?: string };
  return (stderr.trim() === '' ? message : stderr.trim()).split('\n').at(-1) ?? '';
}
