import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findExecutable } from '../../cli/childProcess.js';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';

/** What a figure means nothing without. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Runnable processes over the last minute, before the bench began. */
  readonly loadBefore: number;
  readonly date: string;
}

export function describeMachine(python: string): Machine {
  const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string };
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()} ${arch()}`,
    versions: {
      mpcsfaas: [version, firstLine('git', ['-C', PACKAGE_ROOT, 'rev-parse', '--short', 'HEAD'])]
        .filter(Boolean)
        .join(' at '),
      node: process.versions.node,
      python: firstLine(python, ['-c', 'import platform; print(platform.python_version())']),
      dill: firstLine(python, ['-c', 'import dill; print(dill.__version__)']),
      redis: /v=(\S+)/.exec(firstLine('redis-server', ['--version']))?.[1] ?? '',
      nats: firstLine('nats-server', ['--version']).replace(/^.*v/, ''),
    },
    loadBefore: loadavg()[0] ?? 0,
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
  };
}

export function machineText(machine: Machine): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryGib} GiB, ${machine.system}`,
    versions.join(', '),
    `${machine.date} UTC, load average ${machine.loadBefore.toFixed(2)} before the start`,
  ].join('\n');
}

/** How much of the machine is busy, percent: while the bench waits, that is other people's work, and will be measured as well. */
export async function busyPercent(overMs: number): Promise<number> {
  const before = processorTimes();
  await sleep(overMs);
  const after = processorTimes();
  return 100 * (1 - (after.idle - before.idle) / (after.all - before.all));
}

function processorTimes(): { idle: number; all: number } {
  const times = cpus().map((cpu) => cpu.times);
  const idle = times.reduce((total, one) => total + one.idle, 0);
  return { idle, all: times.reduce((total, one) => total + one.user + one.nice + one.sys + one.irq, idle) };
}

/** Empty when the program is not here. */
function firstLine(command: string, args: readonly string[]): string {
  try {
    const path = findExecutable(command, process.env['PATH']) ?? command;
    return (
      execFileSync(path, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
        .split('\n')[0]
        ?.trim() ?? ''
    );
  } catch {
    return '';
  }
}
