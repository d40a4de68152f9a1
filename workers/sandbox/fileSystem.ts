/** What a process in bubblewrap sees of the machine's files: arguments of bwrap. */
import { existsSync, lstatSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Visible {
  /** Absolute paths without which Python cannot run functions; shown also where they lie in hidden ones. */
  needed: readonly string[];
  /** Absolute paths that may be read, but for what is hidden. */
  readable: readonly string[];
  hidden: readonly string[];
  /** Of /tmp, and of /dev/shm. */
  temporaryBytes: number;
}

/** Programs and libraries of the system. */
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/nix/store'];
/** Settings that libraries read; none of them is secret. */
const SETTINGS = [
  ...[
    'alternatives',
    'ca-certificates',
    'ca-certificates.conf',
    'fonts',
    'gai.conf',
    'group',
    'host.conf',
    'hosts',
    'ld.so.cache',
  ],
  ...[
    'ld.so.conf',
    'ld.so.conf.d',
    'localtime',
    'magic',
    'mime.types',
    'nsswitch.conf',
    'os-release',
    'passwd',
    'pki',
    'protocols',
  ],
  ...['resolv.conf', 'services', 'ssl', 'timezone'],
].map((name) => join('/etc', name));
const ALWAYS_HIDDEN = ['/etc/ssl/private', '/etc/pki/private'];
const WRITABLE = ['/tmp', '/dev/shm'];

/** Everything is read-only but /tmp and /dev/shm, which are memory. */
export function fileSystem({ needed, readable, hidden, temporaryBytes }: Visible): string[] {
  const entries = new Map<string, 'show' | 'hide'>();
  for (const path of [...SETTINGS, ...both(readable)]) entries.set(path, 'show');
  for (const path of both([...ALWAYS_HIDDEN, ...hidden])) entries.set(path, 'hide');
  for (const path of both(needed)) entries.set(path, 'show');
  for (const path of SYSTEM) if (!isLink(path)) entries.set(path, 'show');
  const paths = [...entries.keys()]
    .filter(
      (path) => path !== '/' && existsSync(path) && !SYSTEM.some((link) => isLink(link) && path.startsWith(`${link}/`)),
    )
    // What contains others comes first, so that these are put into it.
    .sort((a, b) => depth(a) - depth(b) || (a < b ? -1 : 1))
    .filter((path) => !isNeedless(path, entries));
  const size = ['--size', String(temporaryBytes), '--perms', '1777', '--tmpfs'];
  const inWritable = [...new Set(paths.flatMap((path) => firstInWritable(path) ?? []))];
  const hiddenFolders = paths.filter((path) => entries.get(path) === 'hide' && statSync(path).isDirectory());
  return [
    ...SYSTEM.filter(isLink).flatMap((path) => ['--symlink', readlinkSync(path), path]),
    ...['--dev', '/dev', '--proc', '/proc'],
    ...WRITABLE.flatMap((path) => [...size, path]),
    // What leads to paths below /tmp is no place to leave something.
    ...inWritable.flatMap((path) => ['--perms', '0755', '--tmpfs', path]),
    ...parents(paths).flatMap((path) => ['--perms', '0755', '--dir', path]),
    ...paths.flatMap((path) => mount(path, entries.get(path) === 'hide')),
    ...['/dev', ...inWritable, ...hiddenFolders, '/'].flatMap((path) => ['--remount-ro', path]),
  ];
}

function mount(path: string, isHidden: boolean): string[] {
  if (!isHidden) return ['--ro-bind', path, path];
  return statSync(path).isDirectory() ? ['--perms', '0755', '--tmpfs', path] : ['--ro-bind', '/dev/null', path];
}

/** A path and where it really is. */
const both = (paths: readonly string[]): string[] =>
  paths.flatMap((path) => (existsSync(path) ? [path, realpathSync(path)] : []));

/** What the nearest entry above it says already. */
function isNeedless(path: string, entries: ReadonlyMap<string, 'show' | 'hide'>): boolean {
  for (let above = dirname(path); above !== '/'; above = dirname(above)) {
    const what = entries.get(above);
    if (what !== undefined) return what === entries.get(path);
  }
  return entries.get(path) === 'hide';
}

/** Directories on the way to paths that nothing shows by itself; made unreadable by bwrap for some of them, if it is left to it. */
function parents(paths: readonly string[]): string[] {
  const made = new Set<string>();
  for (const path of paths) {
    const above: string[] = [];
    for (
      let folder = dirname(path);
      folder !== '/' && !paths.includes(folder) && !WRITABLE.includes(folder);
      folder = dirname(folder)
    )
      above.unshift(folder);
    // Below another mount they are there.
    const inOther = above.length > 0 && paths.includes(dirname(above[0] as string));
    if (!inOther) for (const folder of above) made.add(folder);
  }
  return [...made].sort((a, b) => depth(a) - depth(b));
}

function firstInWritable(path: string): string | undefined {
  const writable = WRITABLE.find((folder) => path.startsWith(`${folder}/`));
  return writable === undefined ? undefined : join(writable, path.slice(writable.length + 1).split('/')[0] ?? '');
}

const depth = (path: string): number => path.split('/').length;
const isLink = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
