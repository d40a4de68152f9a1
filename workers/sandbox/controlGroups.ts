/**
 * Limits of the kernel for a process with all below it: cgroups, of version 1 or 2, where this process may make some.
 *
 * They are made below the one this process is in, so that what was laid on it as a whole keeps holding.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isTheSame, startTime } from '../processGroup.js';

export interface GroupLimits {
  /** Of all memory, what lies in temporary file systems included; 0 for none. */
  memoryBytes: number;
  /** Processes and threads; 0 for none. */
  processes: number;
}

export interface ControlGroup {
  /** To which a process writes its number to be in it. */
  readonly entries: readonly string[];
  ranOutOfMemory(): boolean;
  /** When no process is in it any more; tried again for a while. */
  remove(): void;
}

type Controller = 'memory' | 'pids';

/** One hierarchy that has what is wanted of it. */
interface Hierarchy {
  version: 1 | 2;
  controllers: readonly Controller[];
  /** The folder of this pool, whose children have the limits. */
  base: string;
}

const CONTROLLERS: readonly Controller[] = ['memory', 'pids'];
const NAME = /^mpcsfaas-(\d+)-(\d*)-/;
/** Of this process, so far. */
let pools = 0;
const REMOVE_TRIES = 20;
const TRY_AGAIN_MS = 50;

export class ControlGroups {
  private made = 0;

  private constructor(
    private readonly hierarchies: readonly Hierarchy[],
    /** What no hierarchy limits. */
    readonly missing: readonly Controller[],
  ) {}

  /** @param proc where this process's own files are, `/proc/self` */
  static open(proc = '/proc/self'): ControlGroups {
    const hierarchies = places(proc).flatMap(({ version, controllers, folder }) => {
      const base = version === 1 ? newBase(folder) : newBaseBelow(folder, controllers);
      return base === undefined ? [] : [{ version, controllers, base }];
    });
    const has = (controller: Controller): boolean =>
      hierarchies.some(({ controllers }) => controllers.includes(controller));
    return new ControlGroups(
      hierarchies,
      CONTROLLERS.filter((controller) => !has(controller)),
    );
  }

  /** What this pool has made. */
  get folders(): string[] {
    return this.hierarchies.map(({ base }) => base);
  }

  make(limits: GroupLimits): ControlGroup {
    const name = String(++this.made);
    const folders = this.hierarchies.map(({ base, version, controllers }) => {
      const folder = join(base, name);
      mkdirSync(folder);
      const lines = controllers.flatMap((controller) => settings(version, controller, limits));
      for (const { file, value, optional } of lines) write(join(folder, file), value, optional);
      return folder;
    });
    return {
      entries: folders.map((folder) => join(folder, 'cgroup.procs')),
      ranOutOfMemory: () => folders.some(hasKilled),
      remove: () => {
        for (const folder of folders) removeSoon(folder);
      },
    };
  }

  close(): void {
    for (const { base } of this.hierarchies) removeSoon(base);
  }
}

/** The cgroups that this process is in, as folders. */
function places(proc: string): { version: 1 | 2; controllers: Controller[]; folder: string }[] {
  const groups = lines(join(proc, 'cgroup')).map((line) => line.split(':'));
  const mounts = lines(join(proc, 'mountinfo')).map((line) => {
    const [own = '', file = ''] = line.split(' - ');
    const [, , , root = '/', point = ''] = own.split(' ');
    const [type = '', , options = ''] = file.split(' ');
    return { root, point, type, options: options.split(',') };
  });
  const found: { version: 1 | 2; controllers: Controller[]; folder: string }[] = [];
  for (const controller of CONTROLLERS) {
    const path = groups.find(([, names = '']) => names.split(',').includes(controller))?.[2];
    const mount = mounts.find(({ type, options }) => type === 'cgroup' && options.includes(controller));
    if (path !== undefined && mount)
      found.push({ version: 1, controllers: [controller], folder: folderOf(mount, path) });
  }
  const rest = CONTROLLERS.filter((name) => !found.some(({ controllers }) => controllers.includes(name)));
  const path = groups.find(([number, names]) => number === '0' && names === '')?.[2];
  const mount = mounts.find(({ type }) => type === 'cgroup2');
  if (rest.length > 0 && path !== undefined && mount)
    found.push({ version: 2, controllers: rest, folder: folderOf(mount, path) });
  return found;
}

/** A container shows its own part of the hierarchy alone. */
function folderOf({ root, point }: { root: string; point: string }, path: string): string {
  return join(point, root !== '/' && path.startsWith(root) ? path.slice(root.length) : path);
}

/**
 * Version 2 gives limits only to groups whose parent hands the controllers down, and lets no such parent hold processes itself: so it is the
 * nearest of the ancestors that does, or can.
 */
function newBaseBelow(own: string, controllers: readonly Controller[]): string | undefined {
  for (let folder = own; hasControllers(folder, controllers); folder = dirname(folder)) {
    if (!handsDown(folder, controllers)) continue;
    const base = newBase(folder);
    if (base !== undefined && handsDown(base, controllers)) return base;
    if (base !== undefined) removeSoon(base);
  }
  return undefined;
}

function hasControllers(folder: string, controllers: readonly Controller[]): boolean {
  const present = lines(join(folder, 'cgroup.controllers')).join(' ').split(' ');
  return controllers.every((name) => present.includes(name));
}

function handsDown(folder: string, controllers: readonly Controller[]): boolean {
  const file = join(folder, 'cgroup.subtree_control');
  const doesSo = (): boolean => {
    const present = lines(file).join(' ').split(' ');
    return controllers.every((name) => present.includes(name));
  };
  if (!doesSo()) write(file, controllers.map((name) => `+${name}`).join(' '), true);
  return doesSo();
}

/** A folder for this process, after those of processes that are gone were removed; undefined where none can be made. */
function newBase(parent: string): string | undefined {
  for (const name of list(parent)) {
    const [, pid, startedAt = ''] = NAME.exec(name) ?? [];
    if (pid === undefined || isTheSame(Number(pid), startedAt)) continue;
    const left = join(parent, name);
    for (const child of list(left)) removeSoon(join(left, child));
    removeSoon(left);
  }
  const base = join(parent, `mpcsfaas-${process.pid}-${startTime(process.pid)}-${++pools}`);
  try {
    mkdirSync(base);
    return base;
  } catch {
    return undefined;
  }
}

interface Setting {
  file: string;
  value: string;
  /** Not every kernel has it. */
  optional: boolean;
}

function settings(version: 1 | 2, controller: Controller, { memoryBytes, processes }: GroupLimits): Setting[] {
  if (controller === 'pids')
    return processes === 0 ? [] : [{ file: 'pids.max', value: String(processes), optional: false }];
  if (memoryBytes === 0) return [];
  const value = String(memoryBytes);
  if (version === 2)
    return [
      { file: 'memory.max', value, optional: false },
      { file: 'memory.swap.max', value: '0', optional: true },
    ];
  return [
    { file: 'memory.limit_in_bytes', value, optional: false },
    // Memory and swap together.
    { file: 'memory.memsw.limit_in_bytes', value, optional: true },
  ];
}

function hasKilled(folder: string): boolean {
  const told = [...lines(join(folder, 'memory.events')), ...lines(join(folder, 'memory.oom_control'))];
  return told.some((line) => /^oom_kill [1-9]/.test(line));
}

function removeSoon(folder: string, tries = 0): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    const isBusy = error instanceof Error && 'code' in error && error.code === 'EBUSY';
    // The last process in it may just be ending.
    if (isBusy && tries < REMOVE_TRIES) setTimeout(removeSoon, TRY_AGAIN_MS, folder, tries + 1);
  }
}

function write(file: string, value: string, optional: boolean): void {
  try {
    writeFileSync(file, value);
  } catch (error) {
    if (!optional) throw error;
  }
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n');
  } catch {
    return [];
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
