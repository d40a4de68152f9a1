import { setTimeout as sleep } from 'node:timers/promises';
import type { SpecPlatform } from '../../specs/support/platform.js';
import { CpuMeter, platformProcesses, sum } from '../support/processes.js';
import type { Question } from '../support/question.js';
import { scaled } from '../support/rounds.js';

const SECONDS = 15;
/** What starting costs is over by then. */
const STARTED_MS = 3_000;
/**
 * Half a minute after its start each process has also given back the memory that starting took: V8 does so once, 8 to 30 s after it,
 * when it has seen that little happens. From then on a platform costs what it costs for as long as nothing is to be done.
 */
const SETTLED_MS = 30_000;

export const idle: Question = {
  name: 'idle',
  title: 'what a platform costs that has nothing to do',
  usualSeconds: 46,
  ask: async ({ bed, pace }) => {
    const begunAt = performance.now();
    const seconds = scaled(SECONDS, pace, 2);
    const startAt = async (ms: number): Promise<void> => sleep(Math.max(0, ms - (performance.now() - begunAt)));
    await startAt(STARTED_MS);
    const first = await percentOfOneCore(bed.platform, seconds);
    await startAt(scaled(SETTLED_MS, pace, STARTED_MS));
    const settled = await percentOfOneCore(bed.platform, seconds);
    const row = (when: string, percent: Map<string, number>): string[] => [
      when,
      ...[...percent.values(), sum(percent.values())].map((value) => value.toFixed(2)),
    ];
    return {
      tables: [
        {
          title: 'Idle platform, percent of one core',
          columns: ['', ...settled.keys(), 'in all'],
          rows: [row('from 3 s after its start', first), row('from 30 s after its start', settled)],
          notes: [
            `over ${seconds} s each; push mode, one worker with two Python processes`,
            'between the two each Node process tidies up once what its start has left',
          ],
        },
      ],
      figures: { 'idle.percentOfOneCore': sum(settled.values()), 'idle.atFirst': sum(first.values()) },
    };
  },
};

async function percentOfOneCore(platform: SpecPlatform, seconds: number): Promise<Map<string, number>> {
  const meter = new CpuMeter(platformProcesses(platform));
  await sleep(seconds * 1_000);
  return new Map([...meter.spentMs()].map(([name, ms]) => [name, ms / seconds / 10]));
}
