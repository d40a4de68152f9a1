/**
 * Compiles TypeScript into dist/ when a source is newer than the last build, and removes what sources no longer stand behind:
 * a deleted spec would otherwise go on running.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, 'dist');
const STAMP = join(DIST, '.built');
const ROOMS = ['actors', 'api', 'bench', 'bus', 'cli', 'specs', 'workers'];
/** What runs in browsers is compiled by itself: it has another library. */
const PROJECTS = ['tsconfig.json', 'api/dashboard/page/tsconfig.json'];
const SETTINGS = [...PROJECTS, 'package-lock.json'];
const SOURCE = /\.tsx?$/;

const sources = ROOMS.flatMap((room) => filesIn(join(ROOT, room))).filter((file) => SOURCE.test(file));
const removed = removeOrphans();
if (removed || !isFresh()) build();

function isFresh() {
  if (!existsSync(STAMP)) return false;
  const builtMs = statSync(STAMP).mtimeMs;
  return [...sources, ...SETTINGS.map((file) => join(ROOT, file))].every((file) => statSync(file).mtimeMs < builtMs);
}

function build() {
  const begunAt = new Date();
  process.stderr.write('build: compiling TypeScript\n');
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const failed = PROJECTS.filter((project) => {
    const args = [tsc, '-p', join(ROOT, project), '--pretty', 'false'];
    return spawnSync(process.execPath, args, { stdio: ['ignore', 2, 2] }).status !== 0;
  });
  if (failed.length > 0) {
    process.stderr.write('build: failed; the errors are above\n');
    process.exit(1);
  }
  writeFileSync(STAMP, '');
  // A source that was saved while the compiler ran may not be in: the stamp tells when the reading began.
  utimesSync(STAMP, begunAt, begunAt);
}

function removeOrphans() {
  const expected = new Set(sources.map((file) => join(DIST, relative(ROOT, file)).replace(SOURCE, '')));
  const orphans = ROOMS.flatMap((room) => filesIn(join(DIST, room))).filter(
    (file) => !expected.has(file.replace(/\.js(\.map)?$/, '')),
  );
  for (const file of orphans) rmSync(file);
  return orphans.length > 0;
}

function filesIn(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
