import { runBatch } from '../client/batchClient.js';
import { CpuShares, withOwnCpu } from '../support/cpuShares.js';
import { peakMemoryMib, platformProcesses, resetPeakMemory } from '../support/processes.js';
import { type Question, throughputOf } from '../support/question.js';
import { rounds, tasksFor } from '../support/rounds.js';
import { median, medianRatio, spread } from '../support/statistics.js';

const BUDGET_SECONDS = 75;
const WARM_UP_TASKS = 4_000;
/** Python and its pool get hot within a few thousand tasks, Node's compiler later. */
const WARM_UP_SECONDS = 5;

export const throughput: Question = {
  name: 'throughput',
  title: 'no-op tasks in batches over HTTP',
  usualSeconds: 35,
  ask: async ({ bed, pool, pace }) => {
    const { platform, functionIds, client } = bed;
    const payload = await bed.pickle('5');
    const bare = (tasks: number) => runBatch(platform.apiUrl, { functionId: functionIds.noop, payload, tasks });

    const first = await throughputOf(client, WARM_UP_TASKS);
    await throughputOf(client, tasksFor(first.rate, WARM_UP_SECONDS));
    const { rate } = await throughputOf(client, WARM_UP_TASKS);
    await throughputOf(pool, WARM_UP_TASKS);
    const tasks = tasksFor(rate, pace.secondsPerMeasurement);

    const rates = { pool: [] as number[], python: [] as number[], bare: [] as number[] };
    const poolCpuUs: number[] = [];
    const shares = { python: new CpuShares(), bare: new CpuShares() };
    const processes = () => platformProcesses(platform);
    resetPeakMemory(processes());
    const done = await rounds(pace.rounds, BUDGET_SECONDS * pace.patience, async () => {
      const reference = await throughputOf(pool, tasks);
      rates.pool.push(reference.rate);
      poolCpuUs.push((reference.cpu_seconds * 1e6) / tasks);
      await shares.python.during(processes, async () => {
        const own = await throughputOf(client, tasks);
        rates.python.push(own.rate);
        return { tasks, clientCpuSeconds: own.cpu_seconds };
      });
      await shares.bare.during(processes, () =>
        withOwnCpu(async () => {
          rates.bare.push(tasks / (await bare(tasks)).seconds);
          return tasks;
        }),
      );
    });

    const memory = peakMemoryMib(processes());
    const parts = shares.python.names;
    const cpuRow = (name: string, of: CpuShares) => [name, ...parts.map((part) => of.us(part)), of.totalUs];
    return {
      tables: [
        {
          title: 'No-op tasks, from the first byte sent to the last result received',
          columns: ['', 'tasks/s', 'x pool'],
          rows: [
            ['ProcessPoolExecutor(2).submit', spread(rates.pool), '1'],
            ['MPCSFaaS, Python client', spread(rates.python), medianRatio(rates.python, rates.pool)],
            ['MPCSFaaS, bare-bones client', spread(rates.bare), medianRatio(rates.bare, rates.pool)],
          ],
          notes: [
            `${done} rounds of ${tasks} tasks, one after the other in turns; medians (lowest-highest), ratios within a round`,
            'push mode, 1 worker x 2 Python processes, log level info, append-only file, everysec; requests of 500 tasks',
            'Python client: pickles each argument, loads and checks each result; bare-bones: Node, prepared bytes, counts results',
          ],
        },
        {
          title: 'Processor time per task, microseconds',
          columns: ['client', ...parts, 'in all'],
          rows: [cpuRow('Python', shares.python), cpuRow('bare-bones', shares.bare)],
          notes: [
            `ProcessPoolExecutor: ${median(poolCpuUs).toFixed(0)} us in the process that submits, its workers not counted`,
          ],
        },
        {
          title: 'Peak memory meanwhile, MiB of the largest process of each kind',
          columns: [...memory.keys()],
          rows: [[...memory.values()].map((mib) => mib.toFixed(0))],
        },
      ],
      figures: {
        'throughput.pool': median(rates.pool),
        'throughput.python': median(rates.python),
        'throughput.bare': median(rates.bare),
        'throughput.pythonToPool': medianRatio(rates.python, rates.pool),
        'throughput.bareToPool': medianRatio(rates.bare, rates.pool),
        'throughput.cpuUsPerTask': shares.python.totalUs,
        'throughput.bareCpuUsPerTask': shares.bare.totalUs,
        ...Object.fromEntries(parts.map((part) => [`throughput.cpuUs.${part}`, shares.python.us(part)])),
      },
    };
  },
};
