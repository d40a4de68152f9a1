import { readdirSync, readFileSync } from 'node:fs';

/** What Linux tells of processes in /proc. Where there is none, nothing is found. */

/** Of user and system time; Linux counts in hundredths of a second on every platform that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Command line as `ps` shows it, which is the title where a process has set one; empty when it is gone. */
export function titleOf(pid: number): string {
  return procFile(pid, 'cmdline').replaceAll('\0', ' ').trim();
}

/** Processes whose parent it is. */
export function childrenOf(pid: number): number[] {
  return allProcesses().filter((other) => parentOf(other) === pid);
}

function parentOf(pid: number): number | undefined {
  return statField(pid, 1);
}

/** A zombie has ended: only its parent has not looked yet. */
export function isAlive(pid: number): boolean {
  const state = procFile(pid, 'stat').split(') ').at(-1)?.charAt(0);
  return state !== undefined && state !== '' && state !== 'Z';
}

/** Processor time it has used so far. */
export function cpuMs(pid: number): number {
  return (((statField(pid, 11) ?? 0) + (statField(pid, 12) ?? 0)) * 1000) / TICKS_PER_SECOND;
}

/** Memory of it that is in RAM, shared pages included. */
export function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(procFile(pid, 'status'))?.[1] ?? 0) / 1024;
}

/** Living processes that have `mark` (`NAME=value`) in their environment, whoever has adopted them meanwhile. */
export function markedProcesses(mark: string): number[] {
  return allProcesses().filter((pid) => pid !== process.pid && isAlive(pid) && procFile(pid, 'environ').includes(mark));
}

/** Python processes that run functions for the given supervisor, which they name on their command line. */
export function runtimesOf(supervisorPid: number): number[] {
  return allProcesses().filter((pid) => {
    const words = procFile(pid, 'cmdline').split('\0');
    return words.includes('mpcsfaas.runtime') && words.includes(String(supervisorPid)) && isAlive(pid);
  });
}

function allProcesses(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** A number from /proc/pid/stat, counted from the field after the command's closing parenthesis. */
function statField(pid: number, index: number): number | undefined {
  const value = procFile(pid, 'stat').split(') ').at(-1)?.split(' ')[index];
  return value === undefined ? undefined : Number(value);
}

/** Empty when the process is gone, or not ours to read. */
function procFile(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
