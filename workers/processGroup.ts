/** Ends a process with everything below it. */
import { readFileSync } from 'node:fs';

/**
 * Processes below `pid`, also those that left its group by `setsid`; empty where /proc does not tell. To be asked while `pid`
 * lives: afterwards its children belong to another parent.
 */
export function descendants(pid: number): number[] {
  const found: number[] = [];
  const pending = [pid];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const child of children(next)) {
      found.push(child);
      pending.push(child);
    }
  }
  return found;
}

function children(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .map(Number)
      .filter((child) => child > 1);
  } catch {
    return [];
  }
}

/** Signals a process group, and the given processes besides. Those that are gone are no error. */
export function signalGroup(groupId: number, signal: NodeJS.Signals, others: number[] = []): void {
  for (const target of [-groupId, ...others]) {
    try {
      process.kill(target, signal);
    } catch {
      // It has ended, which is what was wanted.
    }
  }
}
