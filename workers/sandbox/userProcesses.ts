/** The kernel counts processes by user, over the whole machine: a limit must leave room for those the user has anyway. */
import { readdirSync, readFileSync } from 'node:fs';

const REMEMBERED_MS = 10_000;
const counts = new Map<number, { atMs: number; count: number }>();

/** Processes and threads of a user at present, to about 10 s; undefined where /proc does not tell. */
export function processesOf(uid: number): number | undefined {
  const known = counts.get(uid);
  if (known !== undefined && performance.now() - known.atMs < REMEMBERED_MS) return known.count;
  const count = countProcesses(uid);
  if (count !== undefined) counts.set(uid, { atMs: performance.now(), count });
  return count;
}

function countProcesses(uid: number): number | undefined {
  try {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.reduce((sum, pid) => sum + threadsOf(pid, uid), 0);
  } catch {
    return undefined;
  }
}

function threadsOf(pid: string, uid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    if (Number(/^Uid:\s*(\d+)/m.exec(status)?.[1]) !== uid) return 0;
    return Number(/^Threads:\s*(\d+)/m.exec(status)?.[1] ?? 1);
  } catch {
    return 0;
  }
}
