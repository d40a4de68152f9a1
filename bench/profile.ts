/**
 * `node dist/bench/profile.js [push|pull|local] [batch|singles|trips|large|many]`: where the microseconds go, function by function, in each
 * Node process. Sampling costs a little itself: shares count here, not sums.
 */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MODES } from '../bus/config.js';
import { PACKAGE_ROOT } from '../bus/packageRoot.js';
import { eventually } from '../specs/support/eventually.js';
import { runBatch } from './client/batchClient.js';
import { singleSubmits } from './client/singleSubmits.js';
import { startWorkers } from './questions/manyWorkers.js';
import { type Bed, withBed } from './support/bed.js';
import { openCommand } from './support/command.js';
import { bySource, type CpuProfile, type Hot, hottest, isWholeFile } from './support/cpuProfile.js';
import { sum } from './support/processes.js';
import { throughputOf } from './support/question.js';
import { tableText } from './support/table.js';

const SECONDS = 8;
const TOP = 16;
const MANY = 1_000;

/** Each runs for about so many seconds and answers how many tasks it ran. */
const SCENARIOS = {
  batch: async ({ client }: Bed, seconds: number): Promise<number> => {
    const tasks = Math.round((await throughputOf(client, 5_000)).rate * seconds);
    await throughputOf(client, tasks);
    return tasks + 5_000;
  },
  singles: (bed: Bed, seconds: number): Promise<number> => singles(bed, seconds, 64),
  /** One after the other on an idle platform. */
  trips: (bed: Bed, seconds: number): Promise<number> => singles(bed, seconds, 1),
  large: async ({ client }: Bed, seconds: number): Promise<number> => {
    const count = 50;
    const beganAt = performance.now();
    let tasks = 0;
    for (; performance.now() - beganAt < seconds * 1000; tasks += count) {
      await client.ask({ ask: 'large', count, size: 1024 * 1024 });
    }
    return tasks;
  },
  /** With fake workers: see `questions/manyWorkers.ts`. */
  many: async (bed: Bed, seconds: number): Promise<number> => {
    const { platform, functionIds } = bed;
    const batch = { functionId: functionIds.noop, payload: await bed.pickle('5'), tasks: 5_000 };
    const beganAt = performance.now();
    let tasks = 0;
    for (; performance.now() - beganAt < seconds * 1000; tasks += batch.tasks) await runBatch(platform.apiUrl, batch);
    return tasks;
  },
};

async function singles({ platform, functionIds, pickle }: Bed, seconds: number, connections: number): Promise<number> {
  const payload = (await pickle('5')).toString('base64');
  const options = { functionId: functionIds.noop, payload, connections, seconds };
  return (await singleSubmits(platform.apiUrl, options)).tripsMs.length;
}

const { names, pace, print, say } = openCommand('MPCSFaaS profile');
const mode = MODES.find((one) => names.includes(one)) ?? 'push';
const name = (Object.keys(SCENARIOS) as (keyof typeof SCENARIOS)[]).find((one) => names.includes(one)) ?? 'batch';
const scenario = SCENARIOS[name];
const directory = mkdtempSync(join(tmpdir(), 'profiles-'));
const profiler = join(PACKAGE_ROOT, 'dist', 'bench', 'support', 'profiler.js');
const env = { NODE_OPTIONS: `--import=${profiler}`, MPCSFAAS_PROFILES: directory };

await withBed({ mode, env, workers: name === 'many' ? 0 : 1 }, async (bed) => {
  const { platform } = bed;
  const seconds = pace.scale < 1 ? 1 : SECONDS;
  const fakes = name === 'many' ? await startWorkers(platform.dispatcherUrl, MANY) : [];
  await scenario(bed, seconds / 2);
  say(`${name} in ${mode} mode`);
  const actors = [platform.api, platform.dispatcher, ...platform.workers];
  for (const actor of actors) await actor.kill('SIGUSR2');
  const tasks = await scenario(bed, seconds);
  for (const actor of actors) await actor.kill('SIGUSR2');
  for (const { name: actor, pid } of actors) {
    const file = join(directory, `${pid}.json`);
    await eventually(`${actor} has written its profile`, () => isWholeFile(file));
    const hot = hottest(JSON.parse(readFileSync(file, 'utf8')) as CpuProfile);
    const busyUs = sum(hot.map(({ selfUs }) => selfUs));
    const row = ({ where, selfUs }: Hot) => [where, selfUs / tasks, (100 * selfUs) / busyUs];
    const title = `${actor}: ${(busyUs / tasks).toFixed(1)} us per task`;
    print(tableText({ title, columns: ['source', 'us/task', '%'], rows: bySource(hot).slice(0, TOP).map(row) }));
    print(tableText({ title, columns: ['function', 'us/task', '%'], rows: hot.slice(0, TOP).map(row) }));
  }
  await Promise.all(fakes.map((fake) => fake.stop()));
});
