import { runBatch } from '../client/batchClient.js';
import { type Bed, startBed } from '../support/bed.js';
import type { Question } from '../support/question.js';
import { inTurn, rounds, tasksFor } from '../support/rounds.js';
import { medianRatio, spread } from '../support/statistics.js';
import { findProgram } from '../../workers/sandbox/runtimePaths.js';

const BUDGET_SECONDS = 60;
const WARM_UP_TASKS = 30_000;
const CALIBRATION_TASKS = 4_000;

interface Variant {
  readonly name: string;
  readonly bed: Bed;
  readonly rates: number[];
}

export const sandbox: Question = {
  name: 'sandbox',
  title: 'functions in the sandboxes process and bubblewrap against none',
  usualSeconds: 35,
  ask: async ({ pace, say }) => {
    const hasBubblewrap = findProgram('bwrap', process.env['PATH']) !== undefined;
    const names = ['none', 'process', ...(hasBubblewrap ? ['bubblewrap'] : [])];
    const beds = await Promise.all(names.map((name) => startBed({ env: { SANDBOX: name } })));
    const all: Variant[] = beds.map((bed, index) => ({ name: names[index] ?? '', bed, rates: [] }));
    try {
      const payload = await (beds[0] as Bed).pickle('5');
      const run = async ({ platform, functionIds }: Bed, tasks: number): Promise<number> =>
        tasks / (await runBatch(platform.apiUrl, { functionId: functionIds.noop, payload, tasks })).seconds;
      let rate = 0;
      for (const bed of beds) {
        await run(bed, Math.round(WARM_UP_TASKS * Math.max(pace.scale, 0.05)));
        rate = await run(bed, CALIBRATION_TASKS);
      }
      const tasks = tasksFor(rate, pace.secondsPerMeasurement);
      const done = await rounds(pace.rounds, BUDGET_SECONDS * pace.patience, async (index) => {
        say(`sandbox, round ${index + 1}`);
        for (const { bed, rates } of inTurn(all, index)) rates.push(await run(bed, tasks));
      });
      const none = all[0]?.rates ?? [];
      const ratioOf = (name: string): number => medianRatio(all.find((one) => one.name === name)?.rates ?? [], none);
      return {
        tables: [
          {
            title: 'No-op tasks in sandboxes, bare-bones client',
            columns: ['', 'tasks/s', 'x none'],
            rows: all.map(({ name, rates }) => [name, spread(rates), ratioOf(name)]),
            notes: [
              `${done} rounds of ${tasks} tasks by turns; all platforms up at once, 2 Python processes each`,
              ...(hasBubblewrap ? [] : ['bubblewrap is not installed here']),
            ],
          },
        ],
        figures: {
          'sandbox.processToNone': ratioOf('process'),
          ...(hasBubblewrap && { 'sandbox.bubblewrapToNone': ratioOf('bubblewrap') }),
        },
      };
    } finally {
      for (const bed of beds) await bed.stop();
    }
  },
};
