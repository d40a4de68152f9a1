import { setTimeout as sleep } from 'node:timers/promises';
import { CpuMeter, platformProcesses, sum } from '../support/processes.js';
import type { Question } from '../support/question.js';
import { scaled } from '../support/rounds.js';

const SECONDS = 15;
/** What starting costs is over by then. */
const SETTLE_MS = 3_000;

export const idle: Question = {
  name: 'idle',
  title: 'what a platform costs that has nothing to do',
  ask: async ({ bed, pace }) => {
    const seconds = scaled(SECONDS, pace, 2);
    await sleep(SETTLE_MS);
    const meter = new CpuMeter(platformProcesses(bed.platform));
    await sleep(seconds * 1000);
    const percent = new Map([...meter.spentMs()].map(([name, ms]) => [name, ms / seconds / 10]));
    const total = sum(percent.values());
    return {
      tables: [
        {
          title: 'Idle platform, percent of one core',
          columns: [...percent.keys(), 'in all'],
          rows: [[...percent.values(), total].map((value) => value.toFixed(2))],
          notes: [`over ${seconds} s; push mode, one worker with two Python processes`],
        },
      ],
      figures: { 'idle.percentOfOneCore': total },
    };
  },
};
