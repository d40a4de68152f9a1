import { Redis } from 'ioredis';
import { runBatch } from '../client/batchClient.js';
import { type Bed, startBed } from '../support/bed.js';
import { CpuShares, withOwnCpu } from '../support/cpuShares.js';
import { platformProcesses } from '../support/processes.js';
import type { Question } from '../support/question.js';
import { inTurn, rounds, tasksFor } from '../support/rounds.js';
import { median, medianRatio, spread } from '../support/statistics.js';

const BUDGET_SECONDS = 100;
/** The standard platform has run for minutes: the others must be as hot before they are compared with it. */
const WARM_UP_TASKS = 30_000;
const CALIBRATION_TASKS = 4_000;

interface Variant {
  readonly name: string;
  readonly bed: Bed;
  readonly fsync: 'everysec' | 'always';
  readonly rates: number[];
  readonly shares: CpuShares;
}

export const variants: Question = {
  name: 'variants',
  title: 'pull and local against push, log level, appendfsync always',
  usualSeconds: 65,
  ask: async ({ bed: standard, pace, say }) => {
    const own = await Promise.all([
      startBed({ mode: 'pull' }),
      startBed({ mode: 'local' }),
      startBed({ env: { LOG_LEVEL: 'warn' } }),
    ]);
    const [pull, local, quiet] = own;
    const variant = (name: string, bed: Bed, fsync: Variant['fsync'] = 'everysec'): Variant => ({
      ...{ name, bed, fsync },
      ...{ rates: [], shares: new CpuShares() },
    });
    const reference = variant('push, info, everysec', standard);
    const all = [
      reference,
      variant('pull', pull),
      variant('local', local),
      variant('log level warn', quiet),
      variant('appendfsync always', standard, 'always'),
    ];
    try {
      const payload = await standard.pickle('5');
      const run = async ({ platform, functionIds }: Bed, tasks: number): Promise<number> =>
        tasks / (await runBatch(platform.apiUrl, { functionId: functionIds.noop, payload, tasks })).seconds;
      for (const bed of own) await run(bed, Math.round(WARM_UP_TASKS * Math.max(pace.scale, 0.05)));
      const tasks = tasksFor(await run(standard, CALIBRATION_TASKS), pace.secondsPerMeasurement);
      const done = await rounds(pace.rounds, BUDGET_SECONDS * pace.patience, async (index) => {
        say(`variants, round ${index + 1}`);
        for (const { bed, fsync, rates, shares } of inTurn(all, index)) {
          await withFsync(bed, fsync, () =>
            shares.during(
              () => platformProcesses(bed.platform),
              () =>
                withOwnCpu(async () => {
                  rates.push(await run(bed, tasks));
                  return tasks;
                }),
            ),
          );
        }
      });
      const ratio = ({ rates }: Variant): number => medianRatio(rates, reference.rates);
      const [, inPull, inLocal, atWarn, always] = all.map(ratio);
      return {
        tables: [
          {
            title: 'No-op tasks in other settings, bare-bones client',
            columns: ['', 'tasks/s', 'x push', 'CPU us/task'],
            rows: all.map((one) => [one.name, spread(one.rates), ratio(one), one.shares.totalUs]),
            notes: [`${done} rounds of ${tasks} tasks by turns; all platforms up at once, 2 Python processes each`],
          },
        ],
        figures: {
          'variants.push': median(reference.rates),
          'variants.pullToPush': inPull ?? NaN,
          'variants.localToPush': inLocal ?? NaN,
          'variants.warnToInfo': atWarn ?? NaN,
          'variants.alwaysToEverysec': always ?? NaN,
        },
      };
    } finally {
      for (const bed of own) await bed.stop();
    }
  },
};

/** Redis takes the setting while it runs: both policies are measured on the same processes. */
async function withFsync(bed: Bed, fsync: Variant['fsync'], run: () => Promise<void>): Promise<void> {
  if (fsync === 'everysec') return run();
  const redis = new Redis(bed.platform.redis.url);
  try {
    await redis.config('SET', 'appendfsync', fsync);
    await run();
    await redis.config('SET', 'appendfsync', 'everysec');
  } finally {
    redis.disconnect();
  }
}
