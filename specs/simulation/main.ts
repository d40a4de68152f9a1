/**
 * `node dist/specs/simulation/main.js --seeds 1000 [--seed 1] [--break fence|adoption|reap-pause] [--verbose]`
 *
 * Runs so many seeds, from `--seed` on; without it from a random one. Ends with 1 at the first violation, after the seed, what was
 * violated, the last events, and how to see it again. `--verbose` shows the whole story of a violation, or of a single seed.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Breakage, BREAKAGES } from './breakages.js';
import { runSeeds } from './runSeeds.js';
import { simulate, type SimulationReport, type SimulationTotals } from './simulation.js';

const LAST_EVENTS = 40;
const PROGRESS_MS = 2_000;
const HIGHEST_FIRST_SEED = 1_000_000_000;

interface Arguments {
  seeds: number;
  firstSeed: number;
  breakage: Breakage | undefined;
  verbose: boolean;
}

function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      seed: { type: 'string' },
      break: { type: 'string' },
      verbose: { type: 'boolean', default: false },
    },
  });
  const breakage = BREAKAGES.find((one) => one === values.break);
  if (values.break && !breakage) throw new Error(`--break ${values.break}: must be one of ${BREAKAGES.join(', ')}`);
  const firstSeed = values.seed
    ? wholeNumber('--seed', values.seed)
    : 1 + Math.floor(Math.random() * HIGHEST_FIRST_SEED);
  return { seeds: wholeNumber('--seeds', values.seeds), firstSeed, breakage, verbose: values.verbose };
}

function wholeNumber(option: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Error(`${option} ${text}: must be a whole number`);
  return Number(text);
}

async function run({ seeds, firstSeed, breakage, verbose }: Arguments): Promise<boolean> {
  const startedAtMs = performance.now();
  const totals: Partial<SimulationTotals> = {};
  let done = 0;
  let violated: SimulationReport | undefined;
  let last: SimulationReport | undefined;
  let nextProgressMs = startedAtMs + PROGRESS_MS;
  say(`simulating ${seeds} seeds from ${firstSeed} on${breakage ? `, with a broken ${breakage}` : ''}`);

  await runSeeds({ from: firstSeed, count: seeds, breakage }, availableParallelism(), (reports) => {
    for (const report of reports) {
      done++;
      last = report;
      addTotals(totals, report.totals);
      // Threads report in any order: of several violations the one with the lowest seed is told.
      if (report.violation && !(violated && violated.seed < report.seed)) violated = report;
    }
    if (performance.now() >= nextProgressMs) {
      nextProgressMs += PROGRESS_MS;
      say(`${done} of ${seeds} seeds, ${rate(done, startedAtMs)}`);
    }
    return violated === undefined;
  });

  say(`${done} seeds, ${rate(done, startedAtMs)}: ${describeTotals(totals)}`);
  if (violated) tellViolation(violated, breakage, verbose);
  else if (seeds === 1 && last) await tellStory(last, breakage, verbose);
  return violated === undefined;
}

function tellViolation(
  { seed, profile, violation, lastEvents }: SimulationReport,
  breakage: Breakage | undefined,
  verbose: boolean,
): void {
  for (const line of verbose ? lastEvents : lastEvents.slice(-LAST_EVENTS)) say(`  ${line}`);
  say(`VIOLATED: ${violation?.invariant ?? ''}: ${violation?.detail ?? ''}`);
  say(`seed ${seed} (${profile}); again: make simulate SEEDS=1 SEED=${seed}${breakage ? ` BREAK=${breakage}` : ''}`);
}

async function tellStory(
  { seed, profile, traceHash }: SimulationReport,
  breakage: Breakage | undefined,
  verbose: boolean,
): Promise<void> {
  if (verbose) for (const line of (await simulate({ seed, breakage, keepEvents: true })).lastEvents) say(`  ${line}`);
  say(`seed ${seed} (${profile}): no violation, trace ${traceHash}`);
}

function addTotals(totals: Partial<SimulationTotals>, more: SimulationTotals): void {
  for (const [name, value] of Object.entries(more) as [keyof SimulationTotals, number][]) {
    totals[name] = (totals[name] ?? 0) + value;
  }
}

const describeTotals = (totals: Partial<SimulationTotals>): string =>
  Object.entries(totals)
    .map(([name, value]) => `${name} ${Math.round(value)}`)
    .join(', ');

function rate(done: number, startedAtMs: number): string {
  const seconds = (performance.now() - startedAtMs) / 1_000;
  return `${seconds.toFixed(1)} s, ${Math.round(done / seconds)} seeds/s`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  process.exitCode = (await run(readArguments())) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
