import { CpuMeter, peakMemoryMib, platformProcesses, resetPeakMemory, sum } from '../support/processes.js';
import type { Question } from '../support/question.js';
import type { Program } from '../support/program.js';
import { rounds, scaled } from '../support/rounds.js';
import { median, medianRatio, spread } from '../support/statistics.js';

const BUDGET_SECONDS = 45;
const COUNT = 200;
const SIZE = 1024 * 1024;

export const large: Question = {
  name: 'large',
  title: '1 MiB in, 1 MiB out',
  usualSeconds: 20,
  ask: async ({ bed, pool, pace }) => {
    const count = scaled(COUNT, pace, 20);
    const rate = async (program: Program): Promise<number> =>
      count / (await program.ask<number>({ ask: 'large', count, size: SIZE }));
    const own: number[] = [];
    const reference: number[] = [];
    await rate(bed.client); // V8 compiles what is new to it.
    resetPeakMemory(platformProcesses(bed.platform));
    const processes = () => new Map([...platformProcesses(bed.platform), ['client', [bed.client.pid]]]);
    const spentMs = new Map<string, number>();
    const done = await rounds(pace.rounds, BUDGET_SECONDS * pace.patience, async () => {
      const meter = new CpuMeter(processes());
      own.push(await rate(bed.client));
      for (const [name, ms] of meter.spentMs()) spentMs.set(name, (spentMs.get(name) ?? 0) + ms);
      reference.push(await rate(pool));
    });
    const memory = peakMemoryMib(platformProcesses(bed.platform));
    return {
      tables: [
        {
          title: '1 MiB argument and result, tasks/s',
          columns: ['', 'tasks/s', 'x pool'],
          rows: [
            ['MPCSFaaS, Python client', spread(own), medianRatio(own, reference)],
            ['ProcessPoolExecutor(2).submit', spread(reference), '1'],
          ],
          notes: [
            `${done} rounds of ${count} tasks; after as many to warm up; requests of up to 8 MiB and results as MessagePack`,
          ],
        },
        {
          title: 'Processor time per task, ms',
          columns: [...spentMs.keys(), 'all'],
          rows: [[...spentMs.values(), sum(spentMs.values())].map((ms) => (ms / (done * count)).toFixed(2))],
        },
        {
          title: 'Peak memory meanwhile, MiB of the largest process of each kind',
          columns: [...memory.keys()],
          rows: [[...memory.values()].map((mib) => mib.toFixed(0))],
          notes: ['Redis holds the results of all rounds until they expire'],
        },
      ],
      figures: {
        'large.perSecond': median(own),
        'large.pool': median(reference),
        ...Object.fromEntries([...memory].map(([name, mib]) => [`large.peakMib.${name}`, mib])),
      },
    };
  },
};
