import { delimiter, dirname, join } from 'node:path';
import { startRedis } from '../../specs/support/servers.js';
import { PYTHON_SCRIPTS } from '../support/bed.js';
import { randomUUID } from 'node:crypto';
import { markedProcesses } from '../../specs/support/processTable.js';
import { CpuMeter } from '../support/processes.js';
import { Program } from '../support/program.js';
import { throughputOf } from '../support/question.js';
import { type Pace, rounds, scaled, tasksFor } from '../support/rounds.js';
import { median, percentile } from '../support/statistics.js';
import { PEER_PYTHON } from './installation.js';
import type { Peer } from './peerList.js';

const BUDGET_SECONDS = 25;
const FIRST_TASKS = 100;
const TRIPS = 200;
const NAPS = 200;
const NAP_SECONDS = 0.01;
const SLOTS = 2;
const LARGE_SECONDS = 1.5;
const SIZE = 1024 * 1024;

/** Peers start programs of their own by name, and those import our scripts. */
const SEARCH_PATHS = {
  PATH: [dirname(PEER_PYTHON), process.env['PATH']].join(delimiter),
  PYTHONPATH: [PYTHON_SCRIPTS, join(PYTHON_SCRIPTS, 'peers')].join(delimiter),
};

/** Of one call at a time: medians of the rounds' percentiles. */
export interface TripFigures {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const NO_TRIPS: TripFigures = { p50Ms: NaN, p99Ms: NaN };

/** Rates by round; what a system could not do is NaN. */
export interface PeerFigures {
  readonly rates: readonly number[];
  /** Our Python client's, each measured right before the peer's. */
  readonly ownRates: readonly number[];
  readonly cpuUs: number;
  readonly trips: TripFigures;
  /** Our Python client's, measured right before. */
  readonly ownTrips: TripFigures;
  /** What `alongside` answered in each round; empty without it. */
  readonly alongside: readonly number[];
  readonly efficiency: number;
  readonly largeRate: number;
  /** What went wrong, in the peer's words. */
  readonly faults: readonly string[];
}

export interface Comparison {
  /** Our Python client. */
  readonly own: Program;
  readonly pace: Pace;
  /** Something else to measure in each round. */
  readonly alongside?: () => Promise<number>;
}

/** In the environment of all that a peer starts, also of what detaches itself from it. */
const MARK = 'MPCSFAAS_BENCH_PEER';

/** Starts a peer, puts the questions to it and to our platform in turns, and stops it. @throws when it does not start */
export async function measurePeer(peer: Peer, comparison: Comparison): Promise<PeerFigures> {
  const redis = peer.needsRedis ? await startRedis() : undefined;
  const mark = randomUUID();
  try {
    const [command = '', ...args] = peer.command;
    const program = await Program.start({
      ...{ command, args, ...(peer.cwd === undefined ? {} : { cwd: peer.cwd }) },
      env: { ...peer.env, ...SEARCH_PATHS, [MARK]: mark, PEER_REDIS_URL: redis?.url },
    });
    try {
      const redisPids = redis === undefined ? [] : [redis.pid];
      return await ask(program, () => [...markedProcesses(`${MARK}=${mark}`), ...redisPids], comparison);
    } finally {
      await program.stop();
    }
  } finally {
    await redis?.stop();
  }
}

async function ask(program: Program, pids: () => number[], comparison: Comparison): Promise<PeerFigures> {
  const { own, pace } = comparison;
  const faults: string[] = [];
  const attempt = async <Value>(what: string, run: () => Promise<Value>): Promise<Value | undefined> => {
    try {
      return await run();
    } catch (error) {
      faults.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  const throughput = await attempt('throughput', () => compare(program, pids, comparison));
  const ownTrips = (await attempt('our round trips', () => measureTrips(own, pace))) ?? NO_TRIPS;
  const trips = (await attempt('round trips', () => measureTrips(program, pace))) ?? NO_TRIPS;
  const efficiency = (await attempt('sleeps', () => napEfficiency(program, pace))) ?? NaN;
  const largeRate = (await attempt('1 MiB', () => largeRateOf(program, pace))) ?? NaN;
  return {
    ...(throughput ?? { rates: [], ownRates: [], alongside: [], cpuUs: NaN }),
    ownTrips,
    trips,
    efficiency,
    largeRate,
    faults,
  };
}

async function compare(program: Program, pids: () => number[], { own, pace, alongside: measureAlongside }: Comparison) {
  const { rate } = await throughputOf(program, scaled(FIRST_TASKS * 5, pace, FIRST_TASKS));
  const tasks = tasksFor(rate, pace.secondsPerMeasurement, FIRST_TASKS);
  const ownTasks = tasksFor((await throughputOf(own, 2_000)).rate, pace.secondsPerMeasurement);
  const rates: number[] = [];
  const ownRates: number[] = [];
  const alongside: number[] = [];
  let cpuMs = 0;
  await rounds(pace.rounds, BUDGET_SECONDS, async () => {
    ownRates.push((await throughputOf(own, ownTasks)).rate);
    if (measureAlongside) alongside.push(await measureAlongside());
    const meter = new CpuMeter(new Map([['all', pids()]]));
    rates.push((await throughputOf(program, tasks)).rate);
    cpuMs += meter.spentMs().get('all') ?? 0;
  });
  return { rates, ownRates, alongside, cpuUs: (cpuMs * 1000) / (tasks * rates.length) };
}

/** Also put to our own client, so that both figures are of one run. */
async function measureTrips(program: Program, pace: Pace): Promise<TripFigures> {
  const count = scaled(TRIPS, pace, 30);
  const p50: number[] = [];
  const p99: number[] = [];
  await rounds(Math.min(3, pace.rounds), 10, async () => {
    const tripsMs = (await program.ask<number[]>({ ask: 'round_trip', count })).map((seconds) => seconds * 1000);
    p50.push(percentile(tripsMs, 50));
    p99.push(percentile(tripsMs, 99));
  });
  return { p50Ms: median(p50), p99Ms: median(p99) };
}

export async function napEfficiency(program: Program, pace: Pace): Promise<number> {
  const count = scaled(NAPS, pace, 20);
  return (count * NAP_SECONDS) / SLOTS / (await program.ask<number>({ ask: 'naps', count, seconds: NAP_SECONDS }));
}

export async function largeRateOf(program: Program, pace: Pace): Promise<number> {
  const first = 10;
  const rate = first / (await program.ask<number>({ ask: 'large', count: first, size: SIZE }));
  const count = Math.min(300, Math.max(first, Math.round(rate * Math.min(LARGE_SECONDS, pace.secondsPerMeasurement))));
  return count / (await program.ask<number>({ ask: 'large', count, size: SIZE }));
}
