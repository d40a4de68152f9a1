import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RootHookObject } from 'mocha';
import { RUN_VARIABLE, runId, temporaryRoot } from './specEnvironment.js';

/** What ends by itself a moment after a spec is no leak. */
const SETTLE_MS = 3000;
const POLL_MS = 50;
/** Resources that must not outlive the specs: what `process.getActiveResourcesInfo()` calls them. */
const COUNTED_RESOURCES = ['TCPSocketWrap', 'TCPServerWrap', 'TCPWRAP', 'PipeServerWrap', 'ProcessWrap', 'UDPWrap'];

/** Fails the run when processes, sockets or temporary files are left after the last spec. */
export const mochaHooks: RootHookObject = {
  async afterAll(this: Mocha.Context) {
    this.timeout(2 * SETTLE_MS + 5000);
    try {
      const leaks = await remainingLeaks();
      if (leaks.length > 0) throw new Error(`Left behind by the specs:\n${leaks.join('\n')}`);
    } finally {
      for (const { pid } of leakedProcesses()) process.kill(pid, 'SIGKILL');
    }
  },
};

async function remainingLeaks(): Promise<string[]> {
  const deadlineMs = performance.now() + SETTLE_MS;
  for (;;) {
    const leaks = [...processLeaks(), ...resourceLeaks(), ...fileLeaks()];
    if (leaks.length === 0 || performance.now() > deadlineMs) return leaks;
    await sleep(POLL_MS);
  }
}

function processLeaks(): string[] {
  return leakedProcesses().map(({ pid, title }) => `  process ${pid}: ${title}`);
}

/** Where there is no /proc (macOS) processes are not looked for. */
function leakedProcesses(): { pid: number; title: string }[] {
  if (!existsSync('/proc')) return [];
  const mark = `${RUN_VARIABLE}=${runId}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => procFile(pid, 'environ').includes(mark))
    .map((pid) => ({ pid: Number(pid), title: procFile(pid, 'cmdline').replaceAll('\0', ' ') }));
}

/** Empty when the process is gone, or not ours to read. */
function procFile(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

function resourceLeaks(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((resource) => COUNTED_RESOURCES.includes(resource))
    .map((resource) => `  resource: ${resource}`);
}

function fileLeaks(): string[] {
  return readdirSync(temporaryRoot).map((name) => `  file: ${join(temporaryRoot, name)}`);
}
