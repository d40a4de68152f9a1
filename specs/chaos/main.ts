import { cpus, release, totalmem, userInfo } from 'node:os';
import { FAULTS } from './faultList.js';
import { headerLine, rowLines } from './report.js';
import { runFault } from './runFault.js';
import { faultThatNotices, isBreakage, NOTICED_BY } from './breakages.js';
import type { Fault, Row } from './fault.js';
import { SETTINGS } from './settings.js';
import { randomKiller } from './randomKiller.js';

/**
 * The chaos suite: real processes, real faults, every result checked.
 *
 *     node dist/specs/chaos/main.js                          every fault once, then a minute of random ones
 *     node dist/specs/chaos/main.js --only redis             the faults whose names contain the word
 *     node dist/specs/chaos/main.js --seed 7 --minutes 10    random faults alone, the same ones for the same seed
 *
 *     node dist/specs/chaos/main.js --break fence            the fault that must notice that the platform is broken so: it ends with 1
 *
 * SEED, MINUTES, ONLY and BREAK in the environment say the same. Ends with 1 when anything is not as it must be.
 */

const EXIT_VIOLATED = 1;
const EXIT_INTERRUPTED = 130;
const MAX_LUCK = 3;

function option(name: string): string | undefined {
  const index = process.argv.indexOf(`--${name}`);
  const given = index < 0 ? process.env[name.toUpperCase()] : process.argv[index + 1];
  return given === '' ? undefined : given;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

// By way of an exit, so that what is stopped at the moment is not left behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(EXIT_INTERRUPTED));

const seed = Number(option('seed') ?? Math.floor(Math.random() * 1_000_000));
const minutes = Number(option('minutes') ?? 1);
const only = option('only')?.toLowerCase();
const randomAlone = option('seed') !== undefined || option('minutes') !== undefined;
if (!Number.isSafeInteger(seed) || !(minutes > 0)) {
  process.stderr.write('chaos: SEED must be a whole number, MINUTES a number above 0.\n');
  process.exit(EXIT_VIOLATED);
}

const broken = option('break');
if (broken !== undefined && !isBreakage(broken)) {
  process.stderr.write(`chaos: BREAK must be one of ${Object.keys(NOTICED_BY).join(', ')}.\n`);
  process.exit(EXIT_VIOLATED);
}

const suite = [...(randomAlone ? [] : FAULTS), randomKiller({ seed, minutes })].filter(
  ({ name }) => only === undefined || name.toLowerCase().includes(only),
);
// Once in a while the broken platform is lucky.
const faults = broken === undefined ? suite : Array<Fault>(MAX_LUCK).fill(faultThatNotices(broken));
if (faults.length === 0) {
  process.stderr.write(`chaos: no fault is called ${only ?? ''}.\n`);
  process.exit(EXIT_VIOLATED);
}

say(
  `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}, user ${userInfo().username}`,
);
say(
  `${Object.entries(SETTINGS)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')}; 2 workers of 2 slots unless a fault says otherwise`,
);
say(
  'starts: mean/most of a task, counted by the tasks themselves; stale, dupl.: attempts refused, results acknowledged again',
);
say(
  'recovery: from the end of the fault until all that was accepted before had ended; about 1 s of it is the work that waits',
);
say('');
say(headerLine());
const rows: Row[] = [];
for (const fault of faults) {
  const row = await runFault(fault);
  for (const line of rowLines(row)) say(line);
  rows.push(row);
  if (broken !== undefined && row.violations.length > 0) break;
}
const violated = rows.filter(({ violations }) => violations.length > 0).length;
const skipped = rows.filter((row) => row.skipped !== undefined && row.skipped !== '').length;
say('');
say(`${rows.length - violated - skipped} survived, ${violated} violated, ${skipped} skipped`);
process.exitCode = violated === 0 ? 0 : EXIT_VIOLATED;
