import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';

/** What V8's profiler writes, as far as it is read here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

export interface Hot {
  /** Function and file with line. */
  readonly where: string;
  readonly selfUs: number;
}

/** Time spent in each function itself, most first; what the process slept is left out. */
export function hottest(profile: CpuProfile): Hot[] {
  const whereOf = new Map(profile.nodes.map(({ id, callFrame }) => [id, frameText(callFrame)]));
  const selfUs = new Map<string, number>();
  profile.samples.forEach((id, index) => {
    const where = whereOf.get(id) ?? '?';
    selfUs.set(where, (selfUs.get(where) ?? 0) + (profile.timeDeltas[index] ?? 0));
  });
  selfUs.delete('(idle)');
  return [...selfUs].map(([where, us]) => ({ where, selfUs: us })).sort((a, b) => b.selfUs - a.selfUs);
}

/** The same by source: a file of ours, a package, or what Node and V8 do themselves. */
export function bySource(hot: readonly Hot[]): Hot[] {
  const selfUs = new Map<string, number>();
  for (const { where, selfUs: us } of hot) selfUs.set(sourceOf(where), (selfUs.get(sourceOf(where)) ?? 0) + us);
  return [...selfUs].map(([where, us]) => ({ where, selfUs: us })).sort((a, b) => b.selfUs - a.selfUs);
}

function sourceOf(where: string): string {
  if (where === '(garbage collector)') return 'garbage collection';
  const file = where.split(' ').at(-1)?.replace(/:\d+$/, '') ?? '';
  if (!file.includes('/')) return 'native code: system calls, ZeroMQ, Buffers';
  if (file.startsWith('node:')) return 'node: sockets, streams, timers, Buffers';
  if (/^(bus|actors|workers|api|cli)\//.test(file)) return file;
  return file.split('/')[0] ?? file;
}

function frameText({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return name;
  const file = url.startsWith('file:') ? relative(join(PACKAGE_ROOT, 'dist'), fileURLToPath(url)) : url;
  // Of a package only what tells where in it.
  return `${name} ${file.replace(/^.*node_modules\//, '')}:${lineNumber + 1}`;
}

/** Whether a process has finished writing its JSON. */
export function isWholeFile(file: string): boolean {
  return existsSync(file) && readFileSync(file, 'utf8').endsWith('}');
}
