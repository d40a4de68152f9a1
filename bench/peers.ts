/** `make bench-peers`: the same questions to what a user would pick instead of us, in the same run. */
import { singleSubmits } from './client/singleSubmits.js';
import { largeRateOf, measurePeer, napEfficiency, type PeerFigures, type TripFigures } from './peers/measurePeer.js';
import { type Peer, PEERS } from './peers/peerList.js';
import { type Bed, startBed } from './support/bed.js';
import { openCommand } from './support/command.js';
import { CpuMeter, platformProcesses, sum } from './support/processes.js';
import { throughputOf } from './support/question.js';
import { tasksFor } from './support/rounds.js';
import { resultsSection, writeSection } from './support/report.js';
import { saveResults } from './support/results.js';
import { median, medianRatio, spread } from './support/statistics.js';
import { type Cell, type Table, tableText } from './support/table.js';
import { targetTable, TARGETS } from './support/targets.js';

const CONNECTIONS = 64;
const PEER_TARGETS = TARGETS.filter(({ figures }) => figures.every((name) => name.startsWith('peers.')));
/** No peer is begun after this. */
const LAST_START_SECONDS = 900;

interface Measured {
  readonly peer: Peer;
  readonly figures: PeerFigures;
}

const command = openCommand('MPCSFaaS bench against peers');
const { pace, say, print } = command;
const wanted = PEERS.filter(
  ({ name }) =>
    command.names.length === 0 || command.names.some((part) => name.toLowerCase().includes(part.toLowerCase())),
);
const left: string[] = [];
const versions: Record<string, string> = {};
const measured: Measured[] = [];

const bed = await startBed();
try {
  say('warming up our platform');
  await throughputOf(bed.client, 20_000 * Math.max(pace.scale, 0.1));
  for (const peer of wanted) await measure(peer);
  say('our platform again, for what is not a rate');
  const own = await ownFigures(bed);
  const tables = [peerTable(own), { ...targetTable(own.figures, PEER_TARGETS), notes: [] }];
  for (const table of tables) print(tableText(table));
  for (const { peer, figures } of measured) {
    for (const fault of figures.faults) print(`${peer.name}: ${fault}`);
  }
  for (const reason of left) print(reason);
  if (command.isWhole) {
    const machine = { ...command.machine, versions: { ...command.machine.versions, ...versions } };
    const seconds = command.secondsSinceStart();
    const results = { machine, seconds, othersPercent: command.othersPercent, figures: own.figures, tables };
    saveResults('peers', results);
    writeSection('make bench-peers', resultsSection(results));
  }
} finally {
  await bed.stop();
}
say('done');

async function measure(peer: Peer): Promise<void> {
  if (command.secondsSinceStart() > LAST_START_SECONDS) {
    left.push(`${peer.name} is left out: no time is left.`);
    return;
  }
  const installed = await peer.install();
  if ('missing' in installed) {
    left.push(`${peer.name}: ${installed.missing}`);
    say(left.at(-1) ?? '');
    return;
  }
  if (installed.version !== '') versions[peer.name.split(/[ ,]/)[0] ?? peer.name] = installed.version;
  await command.begin(peer.name);
  try {
    measured.push({
      peer,
      figures: await measurePeer(peer, { own: bed.client, pace, ...(isCelery(peer) && { alongside: singlesRate }) }),
    });
  } catch (error) {
    left.push(`${peer.name} did not start: ${error instanceof Error ? error.message : String(error)}`);
    say(left.at(-1) ?? '');
  }
}

/** Single submits are held against its `apply_async`, which is one submit at a time as well. */
function isCelery({ name }: Peer): boolean {
  return name === 'Celery';
}

async function singlesRate(): Promise<number> {
  const payload = (await bed.pickle('5')).toString('base64');
  const options = { functionId: bed.functionIds.noop, payload, connections: CONNECTIONS };
  return (await singleSubmits(bed.platform.apiUrl, { ...options, seconds: pace.secondsPerMeasurement })).rate;
}

/** Ours, measured before each of them. */
function besidePeers(of: (trips: TripFigures) => number): number {
  return median(measured.map(({ figures }) => of(figures.ownTrips)).filter(Number.isFinite));
}

interface OwnFigures {
  readonly row: Cell[];
  readonly figures: Record<string, number>;
}

async function ownFigures({ client, platform }: Bed): Promise<OwnFigures> {
  const rates = measured.flatMap(({ figures }) => figures.ownRates);
  const meter = new CpuMeter(platformProcesses(platform));
  const tasks = tasksFor(median(rates), pace.secondsPerMeasurement);
  const { cpu_seconds } = await throughputOf(client, tasks);
  const cpuUs = (sum(meter.spentMs().values()) * 1000 + cpu_seconds * 1e6) / tasks;
  const p50Ms = besidePeers(({ p50Ms }) => p50Ms);
  const p99Ms = besidePeers(({ p99Ms }) => p99Ms);
  const efficiency = await napEfficiency(client, pace);
  const largeRate = await largeRateOf(client, pace);
  const row = [
    'MPCSFaaS',
    'Python client over HTTP',
    'yes',
    spread(rates),
    '1',
    cpuUs,
    p50Ms,
    p99Ms,
    efficiency,
    largeRate,
  ];

  const named = (target: string) => measured.filter(({ peer }) => peer.inTargets === target);
  const best = ['celery', 'dask', 'parsl']
    .flatMap(named)
    .map(({ figures }) => medianRatio(figures.ownRates, figures.rates));
  const [celery] = named('celery');
  const [parsl] = named('parsl');
  const figures: Record<string, number | undefined> = {
    'peers.throughputToBest': best.length > 0 ? Math.min(...best) : undefined,
    'peers.singlesToCelery': celery && medianRatio(celery.figures.alongside, celery.figures.rates),
    'peers.tripToParsl': parsl && parsl.figures.ownTrips.p50Ms / parsl.figures.trips.p50Ms,
    'peers.tripToCelery': celery && celery.figures.ownTrips.p50Ms / celery.figures.trips.p50Ms,
    'peers.ownP50Ms': p50Ms,
    'peers.singlesPerSecond': celery && median(celery.figures.alongside),
  };
  return {
    row,
    figures: Object.fromEntries(Object.entries(figures).filter((entry) => entry[1] !== undefined)) as Record<
      string,
      number
    >,
  };
}

function peerTable(own: OwnFigures): Table {
  return {
    title: 'The same no-op Python function, 2 worker processes, results fetched',
    columns: [
      '',
      'settings',
      'durable',
      'tasks/s',
      'ours / its',
      'CPU us/task',
      'p50 ms',
      'p99 ms',
      'sleeps',
      '1 MiB/s',
    ],
    rows: [own.row, ...measured.map(({ peer, figures }) => peerRow(peer, figures))],
    notes: [
      `ours / its: median over up to ${pace.rounds} rounds, in each of which ours was measured right before; medians (lowest-highest)`,
      `p50, p99: one call at a time, from Python, ours in the median of those before each peer; sleeps: efficiency of sleeps of 10 ms; 1 MiB/s: tasks with 1 MiB in and out`,
      'durable: with Redis as ours, append-only file, everysec; Celery and RQ acknowledge a task before it has run, ours after',
      `BullMQ runs JavaScript in the process that waits for the results: what its queue alone can do`,
      ...singlesNote(own.figures['peers.singlesPerSecond']),
    ],
  };
}

/** Measured beside Celery alone, so not where Celery could not be installed. */
function singlesNote(perSecond: number | undefined): string[] {
  if (perSecond === undefined) return [];
  return [
    `single submits over ${CONNECTIONS} connections, each waiting for its result: ours ${perSecond.toFixed(0)}/s`,
  ];
}

function peerRow({ name, settings, durable }: Peer, figures: PeerFigures): Cell[] {
  const { rates, ownRates, cpuUs, trips, efficiency, largeRate } = figures;
  return [
    ...[name, settings, durable ? 'yes' : 'no', spread(rates), medianRatio(ownRates, rates)],
    ...[cpuUs, trips.p50Ms, trips.p99Ms, efficiency, largeRate],
  ];
}
