/**
 * Runs all specs in the least time that leaves them steady: most of them wait for processes, leases and browsers, so two batches of
 * files run side by side; those that measure time, memory or processors, or strain the machine, run alone after that.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** Directories or files of specs that nothing may run beside. */
const ALONE = [
  'actors/',
  'api/abuse',
  'api/keyRing',
  'api/pickleCheck',
  'browser/manyTasks',
  'bus/',
  'lifecycles/',
  'metrics/',
  'platform/courseClient',
  'platform/fairness',
  'platform/logs',
  'platform/metrics',
  'platform/pullMode',
  'workers/',
];
/** What takes long comes first, so that both sides end at about the same time. */
const FIRST = ['platform/readmeShell', 'chaos/', 'security/', 'platform/', 'browser/', 'cli/', 'simulation/'];
/** Each batch is a process of mocha; few files keep the sides even. */
const FILES_PER_BATCH = 4;
const SIDES = Math.min(2, availableParallelism());

/**
 * Prints each suite when it is done, and what is to say about failures when all have run.
 *
 * @param root where the package is
 * @param runMocha takes files and variables; answers with `{ passed, failed, summary }`
 * @returns what it answered for each batch
 */
export async function runSpecs(root, runMocha) {
  const files = specFiles(root);
  const isAlone = (file) => ALONE.some((start) => file.startsWith(start));
  const batches = inBatches(files.filter((file) => !isAlone(file)).sort((a, b) => rank(a) - rank(b)));
  const path = (file) => join('dist', 'specs', file);
  const counts = [];
  await Promise.all(
    Array.from({ length: SIDES }, async () => {
      for (let batch = batches.shift(); batch; batch = batches.shift()) {
        counts.push(await runMocha(batch.map(path), { MOCHA_GATHERS: '1' }));
      }
    }),
  );
  counts.push(await runMocha(files.filter(isAlone).map(path)));
  for (const { failed, summary } of counts) if (failed > 0 && summary) process.stdout.write(`${summary}\n`);
  return counts;
}

function specFiles(root) {
  const specs = join(root, 'dist', 'specs');
  const found = readdirSync(specs, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile() && entry.name.endsWith('.spec.js'))
    .map((entry) => join(entry.parentPath, entry.name).slice(specs.length + 1))
    .sort();
}

function rank(file) {
  const place = FIRST.findIndex((start) => file.startsWith(start));
  return place < 0 ? FIRST.length : place;
}

function inBatches(files) {
  const count = Math.ceil(files.length / FILES_PER_BATCH);
  return Array.from({ length: count }, (_, at) => files.slice(at * FILES_PER_BATCH, (at + 1) * FILES_PER_BATCH));
}
