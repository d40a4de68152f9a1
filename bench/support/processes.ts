import { readFileSync, writeFileSync } from 'node:fs';
import { childrenOf, cpuMs, runtimesOf } from '../../specs/support/processTable.js';
import type { SpecPlatform } from '../../specs/support/platform.js';

/** Processes by what a table calls them. */
export type Processes = ReadonlyMap<string, readonly number[]>;

/** All processes of a platform, as they are now: Python processes come and go. */
export function platformProcesses({ api, dispatcher, workers, monitor, redis, nats }: SpecPlatform): Processes {
  const supervisors = workers.filter(({ running }) => running).map(({ pid }) => pid);
  return new Map([
    ['API', [api.pid]],
    ['Redis', [redis.pid]],
    ['dispatcher', [dispatcher.pid]],
    ['worker', supervisors],
    ['Python', [dispatcher.pid, ...supervisors].flatMap(runtimesOf)],
    ['NATS', [nats.pid]],
    ['monitor', [monitor.pid]],
  ]);
}

/** A process and all that descends from it. */
export function processTree(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(processTree)];
}

/** Processor time (user and system) spent between two looks, per group of processes. Granularity: 10 ms per process. */
export class CpuMeter {
  private readonly before: ReadonlyMap<string, number>;

  constructor(private readonly processes: Processes) {
    this.before = this.read();
  }

  /** Milliseconds since the start. */
  spentMs(): Map<string, number> {
    const now = this.read();
    return new Map([...now].map(([name, ms]) => [name, ms - (this.before.get(name) ?? 0)]));
  }

  private read(): Map<string, number> {
    return new Map([...this.processes].map(([name, pids]) => [name, sum(pids.map(cpuMs))]));
  }
}

/** Forgets the peaks so far, so that the next look tells of what came after. Not every kernel lets one do so. */
export function resetPeakMemory(processes: Processes): void {
  for (const pid of [...processes.values()].flat()) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // The peak since the process' start is an upper bound.
    }
  }
}

/** Largest resident set of each group's largest process, MiB. */
export function peakMemoryMib(processes: Processes): Map<string, number> {
  return new Map([...processes].map(([name, pids]) => [name, Math.max(0, ...pids.map(residentPeakMib))]));
}

function residentPeakMib(pid: number): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kib ?? 0) / 1024;
  } catch {
    return 0;
  }
}

export const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);
