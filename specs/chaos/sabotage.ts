import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import { WorkerTable } from '../../actors/workerTable.js';
import { BREAKAGE_VARIABLE } from './settings.js';

/**
 * Loaded into the platform's own processes by `--import`, before their code: breaks one mechanism, see `breakages.ts`. There is no
 * switch for it in the platform itself.
 */

/** What is replaced in the Lua scripts as they are read. Ends the process when the words are not there any more. */
const ALTERED: Readonly<Record<string, Readonly<Record<string, readonly [words: string, instead: string]>>>> = {
  fence: {
    'settle.lua': ["if task[2] == fence and task[1] == 'running' then", "if task[1] == 'running' then"],
    'renew.lua': ["if task[1] == 'running' and task[2] == ARGV[i + 1] then", "if task[1] == 'running' then"],
    'release.lua': ["if task[1] == 'running' and task[2] == ARGV[i + 1] then", "if task[1] == 'running' then"],
  },
  'reap-pause': {
    'reap.lua': ['if grace > 0 then return { 1 } end', ''],
  },
};

function alterScripts(scripts: Readonly<Record<string, readonly [string, string]>>): void {
  const { readFileSync } = fs;
  const altering = (...args: Parameters<typeof readFileSync>): string | Buffer => {
    const content = readFileSync(...args);
    const altered = scripts[basename(String(args[0]))];
    if (!altered) return content;
    if (!content.includes(altered[0])) throw new Error(`sabotage: not found in ${String(args[0])}: ${altered[0]}`);
    return String(content).replace(...altered);
  };
  fs.readFileSync = altering as typeof readFileSync;
  syncBuiltinESMExports();
}

function forgetHoldings(): void {
  const join = Reflect.get<WorkerTable, 'join'>(WorkerTable.prototype, 'join');
  WorkerTable.prototype.join = function (hello, address) {
    return join.call(this, { ...hello, holding: [] }, address);
  };
}

const breakage = process.env[BREAKAGE_VARIABLE] ?? '';
if (breakage === 'adoption') forgetHoldings();
else alterScripts(ALTERED[breakage] ?? {});
