import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { runBatch } from '../client/batchClient.js';
import { type Bed, withBed } from '../support/bed.js';
import { CpuMeter, type Processes, peakMemoryMib } from '../support/processes.js';
import { Program } from '../support/program.js';
import type { Question } from '../support/question.js';
import { type Pace, rounds, scaled, tasksFor } from '../support/rounds.js';
import { median } from '../support/statistics.js';

const BUDGET_SECONDS = 20;
const MANY = 1_000;
const WORKERS_PER_PROCESS = 500;
const WARM_UP_TASKS = 2_000;
const IDLE_SECONDS = 5;

const FAKE_WORKERS = join(PACKAGE_ROOT, 'dist', 'bench', 'client', 'fakeWorkers.js');

interface Measured {
  joinSeconds: number;
  rates: number[];
  dispatcherUsPerTask: number;
  idlePercent: number;
  dispatcherMib: number;
}

export const manyWorkers: Question = {
  name: 'manyWorkers',
  title: 'a thousand connected workers on one dispatcher',
  usualSeconds: 30,
  ask: async ({ pace, say }) => {
    const many = scaled(MANY, pace, 50);
    const few = await withBed({ workers: 0 }, (bed) => measure(bed, 2, pace));
    say(`${many} workers join`);
    const crowd = await withBed({ workers: 0 }, (bed) => measure(bed, many, pace));
    const row = (name: string, of: Measured) => [
      name,
      of.joinSeconds,
      median(of.rates),
      of.dispatcherUsPerTask,
      of.idlePercent,
      of.dispatcherMib,
    ];
    const ratio = median(crowd.rates) / median(few.rates);
    return {
      tables: [
        {
          title: 'Many workers on one dispatcher, real sockets, instant fake runtimes of one slot',
          columns: ['workers', 'joined in s', 'no-op tasks/s', 'dispatcher us/task', 'dispatcher idle %', 'its MiB'],
          rows: [row('2', few), row(String(many), crowd)],
          notes: [
            `push mode, bare-bones client; ${few.rates.length} and ${crowd.rates.length} rounds; ${many} : 2 workers = ${ratio.toFixed(2)} in throughput`,
            'idle: percent of one core that the dispatcher needs for heartbeats alone, one a second from each worker',
            'the fake workers take their share of the same machine',
          ],
        },
      ],
      figures: {
        'manyWorkers.perSecond': median(crowd.rates),
        'manyWorkers.toFew': ratio,
        'manyWorkers.dispatcherUs': crowd.dispatcherUsPerTask,
        'manyWorkers.fewDispatcherUs': few.dispatcherUsPerTask,
        'manyWorkers.joinSeconds': crowd.joinSeconds,
        'manyWorkers.idlePercent': crowd.idlePercent,
      },
    };
  },
};

async function measure(bed: Bed, workers: number, pace: Pace): Promise<Measured> {
  const { platform, functionIds } = bed;
  const dispatcher: Processes = new Map([['dispatcher', [platform.dispatcher.pid]]]);
  const payload = await bed.pickle('5');
  const run = async (tasks: number): Promise<number> =>
    tasks / (await runBatch(platform.apiUrl, { functionId: functionIds.noop, payload, tasks })).seconds;

  const beganAt = performance.now();
  const programs = await startWorkers(platform.dispatcherUrl, workers);
  try {
    const joinSeconds = (performance.now() - beganAt) / 1000;
    const tasks = tasksFor(await run(WARM_UP_TASKS), pace.secondsPerMeasurement);
    const rates: number[] = [];
    const meter = new CpuMeter(dispatcher);
    await rounds(pace.rounds, BUDGET_SECONDS * pace.patience, async () => {
      rates.push(await run(tasks));
    });
    const dispatcherUsPerTask = ((meter.spentMs().get('dispatcher') ?? 0) * 1000) / (tasks * rates.length);
    const idleMeter = new CpuMeter(dispatcher);
    await sleep(IDLE_SECONDS * 1000);
    const idlePercent = (idleMeter.spentMs().get('dispatcher') ?? 0) / IDLE_SECONDS / 10;
    const dispatcherMib = peakMemoryMib(dispatcher).get('dispatcher') ?? 0;
    return { joinSeconds, rates, dispatcherUsPerTask, idlePercent, dispatcherMib };
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
  }
}

/** Fake ones, in as few processes as their sockets fit into. Resolves when all have been welcomed. */
export function startWorkers(url: string, count: number): Promise<Program[]> {
  const processes = Math.ceil(count / WORKERS_PER_PROCESS);
  return Promise.all(
    Array.from({ length: processes }, (_, index) => {
      const share = Math.floor((count * (index + 1)) / processes) - Math.floor((count * index) / processes);
      return Program.start({ command: process.execPath, args: [FAKE_WORKERS, url, String(share), `fake-${index}`] });
    }),
  );
}
