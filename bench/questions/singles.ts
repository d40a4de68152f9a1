import { singleSubmits } from '../client/singleSubmits.js';
import { CpuShares, withOwnCpu } from '../support/cpuShares.js';
import { platformProcesses } from '../support/processes.js';
import type { Question } from '../support/question.js';
import { rounds } from '../support/rounds.js';
import { median, percentile, spread } from '../support/statistics.js';

const BUDGET_SECONDS = 30;
const CONNECTIONS = 64;

export const singles: Question = {
  name: 'singles',
  title: `one task per request over ${CONNECTIONS} connections, each waiting for its result`,
  usualSeconds: 12,
  ask: async ({ bed, pace }) => {
    const { platform, functionIds } = bed;
    const payload = (await bed.pickle('5')).toString('base64');
    const measure = (seconds: number) =>
      singleSubmits(platform.apiUrl, { functionId: functionIds.noop, payload, connections: CONNECTIONS, seconds });
    await measure(pace.secondsPerMeasurement / 2);

    const rates: number[] = [];
    const tripsMs: number[] = [];
    const shares = new CpuShares();
    const done = await rounds(pace.rounds, BUDGET_SECONDS * pace.patience, async () => {
      const run = async (): Promise<number> => {
        const { rate, tripsMs: trips } = await measure(pace.secondsPerMeasurement);
        rates.push(rate);
        tripsMs.push(...trips);
        return trips.length;
      };
      await shares.during(
        () => platformProcesses(platform),
        () => withOwnCpu(run),
      );
    });
    return {
      tables: [
        {
          title: `One task per request, ${CONNECTIONS} connections, each waiting for its result`,
          columns: ['', 'tasks/s', 'p50 ms', 'p99 ms'],
          rows: [['MPCSFaaS', spread(rates), percentile(tripsMs, 50), percentile(tripsMs, 99)]],
          notes: [
            `${done} rounds of ${pace.secondsPerMeasurement} s; POST /execute_function?wait=30; bare-bones client`,
          ],
        },
        {
          title: 'Processor time per task, microseconds',
          columns: [...shares.names, 'in all'],
          rows: [[...shares.names.map((name) => shares.us(name)), shares.totalUs]],
        },
      ],
      figures: { 'singles.perSecond': median(rates), 'singles.p99Ms': percentile(tripsMs, 99) },
    };
  },
};
