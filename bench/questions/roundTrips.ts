import { MODES } from '../../bus/config.js';
import { roundTrips as measureTrips, warmUpForTrips } from '../client/singleSubmits.js';
import { type Bed, withBed } from '../support/bed.js';
import type { Program } from '../support/program.js';
import type { Question } from '../support/question.js';
import { type Pace, rounds, scaled } from '../support/rounds.js';
import { median, medianRatio, percentile } from '../support/statistics.js';
import type { Cell } from '../support/table.js';

const BUDGET_SECONDS = 15;
const TRIPS = 300;

/** Percentiles of every round; the median of the rounds' is told, so that one stall of the machine is no p99. */
class Trips {
  private readonly p50: number[] = [];
  private readonly p95: number[] = [];
  private readonly p99: number[] = [];

  add(tripsMs: readonly number[]): void {
    this.p50.push(percentile(tripsMs, 50));
    this.p95.push(percentile(tripsMs, 95));
    this.p99.push(percentile(tripsMs, 99));
  }

  get p50Ms(): number {
    return median(this.p50);
  }

  get p99Ms(): number {
    return median(this.p99);
  }

  /** Of trips that were measured beside these, round by round. */
  p50To(others: Trips): number {
    return medianRatio(this.p50, others.p50);
  }

  row(name: string, others?: Trips): Cell[] {
    return [name, this.p50Ms, median(this.p95), this.p99Ms, others ? this.p50To(others) : '1'];
  }
}

export const roundTrips: Question = {
  name: 'roundTrips',
  title: 'one task at a time, in each mode',
  usualSeconds: 85,
  ask: async ({ bed, pool, pace, say }) => {
    const rows: Cell[][] = [];
    const figures: Record<string, number> = {};
    const pooled = new Trips();
    for (const mode of MODES) {
      say(`round trips in ${mode} mode`);
      const measure = (of: Bed) => measureMode(of, pool, pooled, pace);
      const { bare, python, beside } = mode === 'push' ? await measure(bed) : await withBed({ mode }, measure);
      rows.push(
        bare.row(`${mode}, bare-bones client`, beside),
        python.row(`${mode}, Python client (a socket)`, beside),
      );
      figures[`roundTrips.${mode}.p50ToPool`] = bare.p50To(beside);
      figures[`roundTrips.${mode}.p50Ms`] = bare.p50Ms;
      figures[`roundTrips.${mode}.p99Ms`] = bare.p99Ms;
      figures[`roundTrips.${mode}.pythonP50Ms`] = python.p50Ms;
      figures[`roundTrips.${mode}.pythonP99Ms`] = python.p99Ms;
    }
    return {
      tables: [
        {
          title: 'One round trip on an idle platform, ms: submit, then wait for the result',
          columns: ['', 'p50', 'p95', 'p99', 'p50 x pool'],
          rows: [...rows, pooled.row('ProcessPoolExecutor(2)')],
          notes: [
            `up to ${pace.rounds} rounds of ${scaled(TRIPS, pace, 50)} trips over one connection, after some thousands to warm up; medians of the rounds' percentiles`,
          ],
        },
      ],
      figures,
    };
  },
};

/** `beside`: the pool's, measured in turns with them, and kept in `pooled` as well. */
async function measureMode(
  bed: Bed,
  pool: Program,
  pooled: Trips,
  pace: Pace,
): Promise<{ bare: Trips; python: Trips; beside: Trips }> {
  const { platform, functionIds, client } = bed;
  const payload = (await bed.pickle('5')).toString('base64');
  const count = scaled(TRIPS, pace, 50);
  const task = { functionId: functionIds.noop, payload };
  await warmUpForTrips(platform.apiUrl, task, pace.scale);
  const trips = { bare: new Trips(), python: new Trips(), beside: new Trips() };
  await rounds(pace.rounds, BUDGET_SECONDS * pace.patience, async () => {
    trips.bare.add(await measureTrips(platform.apiUrl, { ...task, count }));
    trips.python.add(await pythonTrips(client, count));
    const poolTrips = await pythonTrips(pool, count);
    trips.beside.add(poolTrips);
    pooled.add(poolTrips);
  });
  return trips;
}

const pythonTrips = async (program: Program, count: number): Promise<number[]> =>
  (await program.ask<number[]>({ ask: 'round_trip', count })).map((seconds) => seconds * 1000);
