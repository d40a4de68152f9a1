import { MODES, type Mode } from '../../bus/config.js';
import { runBatch } from '../client/batchClient.js';
import { type Bed, type FunctionName, withBed } from '../support/bed.js';
import { rounds } from '../support/rounds.js';
import { median, percentile } from '../support/statistics.js';

/** What a worker is given: each worker gets the same, so that ideally the time stays the same however many there are. */
export const WORKERS = [1, 2, 4, 8] as const;
const TASKS_PER_WORKER = [5, 500] as const;

export interface Kind {
  readonly name: 'no-op' | 'sleep' | 'CPU';
  readonly functionName: FunctionName;
  readonly argument: string;
  /** Of one task alone, ms. */
  readonly workMs: number;
  readonly needsCore: boolean;
}

export const KINDS: readonly Kind[] = [
  { name: 'no-op', functionName: 'noop', argument: '5', workMs: 0, needsCore: false },
  { name: 'sleep', functionName: 'nap', argument: '0.01', workMs: 10, needsCore: false },
  { name: 'CPU', functionName: 'spin', argument: '0.002', workMs: 2, needsCore: true },
];

/** One point of the study; all times are medians over its rounds. */
export interface Point {
  readonly mode: Mode;
  readonly kind: Kind['name'];
  readonly tasksPerWorker: number;
  readonly workers: number;
  readonly rounds: number;
  /** First byte sent to last result received. */
  readonly seconds: number;
  readonly throughput: number;
  /** Of a task, from the start of the batch to its result. */
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  /** What each task adds to its worker's time beyond its own work. */
  readonly overheadMs: number;
  /** Time that the work alone would take on these workers and cores, by the time it took; undefined for no work. */
  readonly efficiency: number | undefined;
  /** The same batch per worker on one worker, by the time it took: 1 is perfect weak scaling. */
  readonly weakEfficiency: number;
}

export interface StudySettings {
  readonly cores: number;
  readonly rounds: Readonly<Record<number, number>>;
  /** Of one point. */
  readonly budgetSeconds: number;
  readonly workers: readonly number[];
  readonly modes: readonly Mode[];
  readonly begin: (part: string) => Promise<void>;
}

const WARM_UP_PER_WORKER = 300;
const WARM_UP_SLEEPS_PER_WORKER = 10;

export async function runStudy(settings: StudySettings): Promise<Point[]> {
  const points: Point[] = [];
  for (const mode of settings.modes) {
    for (const workers of settings.workers) {
      await settings.begin(`${mode} mode, ${workers} worker${workers === 1 ? '' : 's'}`);
      // In local mode the dispatcher has the processes itself; otherwise every worker is a program with one process.
      const options = mode === 'local' ? { mode, slots: workers } : { mode, workers, slots: 1 };
      await withBed(options, async (bed) => {
        await warmUp(bed, workers);
        for (const tasksPerWorker of TASKS_PER_WORKER) {
          for (const kind of KINDS) {
            points.push(await measure(bed, { mode, kind, tasksPerWorker, workers }, points, settings));
          }
        }
      });
    }
  }
  return points;
}

/** Start-up, the compilers of Node, and the learning of how long functions take are not what the study asks about. */
async function warmUp(bed: Bed, workers: number): Promise<void> {
  for (const kind of KINDS) {
    const perWorker = kind.workMs === 0 ? WARM_UP_PER_WORKER : WARM_UP_SLEEPS_PER_WORKER;
    await run(bed, kind, perWorker * workers);
  }
}

async function run(bed: Bed, { functionName, argument }: Kind, tasks: number) {
  const payload = await bed.pickle(argument);
  return runBatch(bed.platform.apiUrl, { functionId: bed.functionIds[functionName], payload, tasks });
}

type Setting = Pick<Point, 'mode' | 'tasksPerWorker' | 'workers'> & { readonly kind: Kind };

async function measure(bed: Bed, setting: Setting, before: readonly Point[], settings: StudySettings): Promise<Point> {
  const { mode, kind, tasksPerWorker, workers } = setting;
  const tasks = tasksPerWorker * workers;
  const seconds: number[] = [];
  const p50: number[] = [];
  const p99: number[] = [];
  const done = await rounds(settings.rounds[tasksPerWorker] ?? 1, settings.budgetSeconds, async () => {
    const { seconds: took, arrivalsMs } = await run(bed, kind, tasks);
    seconds.push(took);
    p50.push(percentile(arrivalsMs, 50));
    p99.push(percentile(arrivalsMs, 99));
  });
  const time = median(seconds);
  const ideal = idealSeconds(kind, tasksPerWorker, workers, settings.cores);
  const alone = before.find(
    (point) =>
      point.mode === mode && point.kind === kind.name && point.tasksPerWorker === tasksPerWorker && point.workers === 1,
  );
  return {
    ...{ mode, kind: kind.name, tasksPerWorker, workers, rounds: done, seconds: time, throughput: tasks / time },
    ...{ latencyP50Ms: median(p50), latencyP99Ms: median(p99) },
    overheadMs: ((time - ideal) / tasksPerWorker) * 1000,
    efficiency: ideal > 0 ? ideal / time : undefined,
    weakEfficiency: (alone?.seconds ?? time) / time,
  };
}

/** Workers that compute share the cores: eight on two cores take four times as long, and no platform is to blame. */
export function idealSeconds(kind: Kind, tasksPerWorker: number, workers: number, cores: number): number {
  const sharing = kind.needsCore ? Math.max(1, workers / cores) : 1;
  return (tasksPerWorker * kind.workMs * sharing) / 1000;
}

export { MODES };
