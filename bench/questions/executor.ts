import { startScript } from '../support/bed.js';
import { type Question, throughputOf } from '../support/question.js';
import { rounds, tasksFor } from '../support/rounds.js';
import { median, medianRatio, percentile, spread } from '../support/statistics.js';

const BUDGET_SECONDS = 40;
const WARM_UP_TASKS = 4_000;
const ROUND_TRIPS = 300;

export const executor: Question = {
  name: 'executor',
  title: 'no-op tasks through the Executor of the Python client',
  usualSeconds: 38,
  ask: async ({ bed, pool, pace }) => {
    const client = await startScript('client_executor.py', [bed.platform.apiUrl]);
    try {
      await throughputOf(client, WARM_UP_TASKS);
      const { rate } = await throughputOf(client, WARM_UP_TASKS);
      const tasks = tasksFor(rate, pace.secondsPerMeasurement);
      const rates = { pool: [] as number[], own: [] as number[] };
      const cpuUs = { pool: [] as number[], own: [] as number[] };
      const tripsMs: number[] = [];
      const done = await rounds(pace.rounds, BUDGET_SECONDS * pace.patience, async () => {
        for (const [name, program] of [['pool', pool] as const, ['own', client] as const]) {
          const one = await throughputOf(program, tasks);
          rates[name].push(one.rate);
          cpuUs[name].push((one.cpu_seconds * 1e6) / tasks);
        }
        const trips = await client.ask<number[]>({ ask: 'round_trip', count: ROUND_TRIPS });
        tripsMs.push(...trips.map((seconds) => seconds * 1000));
      });
      return {
        tables: [
          {
            title: 'The Executor of the Python client: submit each task, read each future',
            columns: ['', 'tasks/s', 'x pool', 'client CPU us', 'round trip p50 ms', 'p99 ms'],
            rows: [
              ['ProcessPoolExecutor(2).submit', spread(rates.pool), '1', spread(cpuUs.pool), '', ''],
              [
                'mpcsfaas.Executor.submit',
                spread(rates.own),
                medianRatio(rates.own, rates.pool),
                spread(cpuUs.own),
                percentile(tripsMs, 50),
                percentile(tripsMs, 99),
              ],
            ],
            notes: [`${done} rounds of ${tasks} tasks; CPU of the client's process alone, per task`],
          },
        ],
        figures: {
          'executor.perSecond': median(rates.own),
          'executor.clientCpuUs': median(cpuUs.own),
          'executor.p50Ms': percentile(tripsMs, 50),
        },
      };
    } finally {
      await client.stop();
    }
  },
};
