/** Which files a Python needs to run functions: asked of the interpreter itself. */
import { execFile } from 'node:child_process';
import { existsSync, readlinkSync, realpathSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const TIMEOUT_MS = 30_000;
const MAX_LINKS = 40;
const SCRIPT = `
import json, os, sys
paths = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *filter(None, sys.path)]
print(json.dumps([sys.executable, [os.path.abspath(path) for path in paths]]))`;

export interface PythonPlace {
  /** Absolute: what is to be run. */
  command: string;
  /** What must be readable. */
  paths: string[];
}

/** @throws Error when the interpreter does not start */
export async function placeOf(python: string, cwd: string, environment: NodeJS.ProcessEnv): Promise<PythonPlace> {
  const { stdout } = await promisify(execFile)(python, ['-c', SCRIPT], { cwd, env: environment, timeout: TIMEOUT_MS });
  const [executable, paths] = JSON.parse(stdout) as [string, string[]];
  // A name may stand for a script that chooses an interpreter by files elsewhere; a path is a wrapper by intention.
  const command = python.includes('/') ? resolve(python) : executable;
  const all = [...linkFolders(command), ...linkFolders(executable), ...paths].filter((path) => existsSync(path));
  return { command, paths: [...new Set(all.flatMap((path) => [path, realpathSync(path)]))] };
}

/** The folders of a file and of what it links to, step by step. */
function linkFolders(file: string): string[] {
  const folders: string[] = [];
  for (let path = file; folders.length < MAX_LINKS;) {
    folders.push(dirname(path));
    try {
      const target = readlinkSync(path);
      path = isAbsolute(target) ? target : join(dirname(path), target);
    } catch {
      break;
    }
  }
  return folders;
}

/** Where a program is. */
export function findProgram(name: string, searchPath: string | undefined): string | undefined {
  const folders = [...(searchPath ?? '').split(delimiter), '/usr/bin', '/usr/local/bin', '/bin'];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}
