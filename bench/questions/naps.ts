import type { Question } from '../support/question.js';
import type { Program } from '../support/program.js';
import { rounds, scaled } from '../support/rounds.js';
import { median, spread } from '../support/statistics.js';

const BUDGET_SECONDS = 50;
const COUNT = 1_000;
const SECONDS = 0.01;
const SLOTS = 2;

export const naps: Question = {
  name: 'naps',
  title: `${COUNT} sleeps of ${SECONDS * 1000} ms on ${SLOTS} slots`,
  usualSeconds: 33,
  ask: async ({ bed, pool, pace }) => {
    const count = scaled(COUNT, pace, 50);
    const efficiency = async (program: Program): Promise<number> =>
      (count * SECONDS) / SLOTS / (await program.ask<number>({ ask: 'naps', count, seconds: SECONDS }));
    const own: number[] = [];
    const reference: number[] = [];
    // As in a platform that has run such functions before: how long a function takes is learnt from its first runs.
    await bed.client.ask({ ask: 'naps', count: 20, seconds: SECONDS });
    const done = await rounds(pace.rounds, BUDGET_SECONDS * pace.patience, async (index) => {
      own.push(await efficiency(bed.client));
      if (index === 0) reference.push(await efficiency(pool));
    });
    return {
      tables: [
        {
          title: `${count} sleeps of ${SECONDS * 1000} ms on ${SLOTS} slots: efficiency (ideal time / time)`,
          columns: ['', 'efficiency'],
          rows: [
            ['MPCSFaaS, Python client', spread(own)],
            ['ProcessPoolExecutor(2).submit', spread(reference)],
          ],
          notes: [`${done} rounds, one of the pool; submitting and fetching included`],
        },
      ],
      figures: { 'naps.efficiency': median(own), 'naps.poolEfficiency': median(reference) },
    };
  },
};
