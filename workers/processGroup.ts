/** Ends a process with everything below it. */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * A process and all that comes from it, also what left its group by `setsid`. What has been seen below it is remembered, since its
 * children belong to another parent once it is gone; a number that another process has taken over meanwhile is left alone.
 * Where /proc does not tell, it is the group alone.
 */
export class ProcessTree {
  /** Start time of each process seen below, by its number. */
  private readonly seen = new Map<number, string>();

  /**
   * @param rootPid leader of its own group
   * @param wrappers so many generations, from the root on, only stand around the process that is meant: whose end would end it
   */
  constructor(
    private readonly rootPid: number,
    private readonly wrappers = 0,
  ) {}

  /** Signals the group and what is below, now or before. What is gone is no error. Wrappers are only killed. */
  signal(signal: NodeJS.Signals): void {
    const spared = signal === 'SIGKILL' ? [] : this.wrapping();
    for (const pid of descendants(this.rootPid)) this.seen.set(pid, startTime(pid));
    if (spared.length === 0) kill(-this.rootPid, signal);
    for (const [pid, startedAt] of this.seen)
      if (!spared.includes(pid) && startTime(pid) === startedAt) kill(pid, signal);
  }

  /** The process that is meant, once it is there. */
  main(): number | undefined {
    const last = this.wrapping().at(-1);
    if (last === undefined) return this.rootPid;
    return this.wrappers > this.wrapping().length ? undefined : children(last)[0];
  }

  private wrapping(): number[] {
    const found: number[] = [];
    for (let pid: number | undefined = this.rootPid; pid !== undefined && found.length < this.wrappers;) {
      found.push(pid);
      pid = children(pid)[0];
    }
    return found;
  }
}

/** Kills every process whose environment holds the entry, `NAME=value`. Reads those of the whole machine: not for every day. */
export function killMarked(entry: string): void {
  for (const name of processNumbers()) {
    try {
      if (readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(entry)) kill(Number(name), 'SIGKILL');
    } catch {
      // It has ended, or is another user's.
    }
  }
}

function processNumbers(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

function kill(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch {
    // It has ended, which is what was wanted.
  }
}

function descendants(pid: number): number[] {
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

/** Linux keeps the children of each thread apart. */
export function children(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
        .split(' ')
        .map(Number)
        .filter((child) => child > 1),
    );
  } catch {
    return [];
  }
}

/** In ticks since the machine started; empty for a process that is gone. */
export function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may hold anything; the start time is the 20th field after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** Where /proc does not tell when a process was started, one with its number is taken for it. */
export function isTheSame(pid: number, startedAt: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
  }
  return startTime(pid) === startedAt;
}

/** The most memory that a live process has had at once, KiB; 0 where /proc does not tell. */
export function peakMemoryKib(pid: number): number {
  try {
    return Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
