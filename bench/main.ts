/** `make bench`: how fast our platform is, question by question, and which targets that meets. */
import { executor } from './questions/executor.js';
import { idle } from './questions/idle.js';
import { large } from './questions/large.js';
import { manyWorkers } from './questions/manyWorkers.js';
import { naps } from './questions/naps.js';
import { queueDepth } from './questions/queueDepth.js';
import { roundTrips } from './questions/roundTrips.js';
import { sandbox } from './questions/sandbox.js';
import { security } from './questions/security.js';
import { singles } from './questions/singles.js';
import { throughput } from './questions/throughput.js';
import { variants } from './questions/variants.js';
import { watched } from './questions/watched.js';
import { startBed, startScript } from './support/bed.js';
import { openCommand } from './support/command.js';
import type { Answer, Question } from './support/question.js';
import { hurried, type Pace } from './support/rounds.js';
import { resultsSection, writeSection } from './support/report.js';
import { readResults, saveResults } from './support/results.js';
import { type Table, tableText } from './support/table.js';
import { targetTable } from './support/targets.js';

/** Idle first, on a platform that has done nothing yet. */
const QUESTIONS: readonly Question[] = [
  idle,
  throughput,
  executor,
  singles,
  roundTrips,
  naps,
  large,
  variants,
  queueDepth,
  watched,
  sandbox,
  security,
  manyWorkers,
];
/** The whole has to end within ten minutes, on a slow machine too: there each question gets less time than usual. */
const END_SECONDS = 560;
/** No question is begun after this. */
const LAST_START_SECONDS = 545;

const command = openCommand('MPCSFaaS bench');
const { pace, names, say, print } = command;
const unknown = names.filter((name) => !QUESTIONS.some((question) => question.name === name));
if (unknown.length > 0) {
  print(`There is no ${unknown.join(', ')}; there are ${QUESTIONS.map(({ name }) => name).join(', ')}.`);
  process.exit(2);
}

const tables: Table[] = [];
const figures: Record<string, number> = {};
let failed = 0;

say('starting a platform and a process pool');
const bed = await startBed();
const pool = await startScript('executor_pool.py');
try {
  const asked = QUESTIONS.filter(({ name }) => names.length === 0 || names.includes(name));
  for (const [index, question] of asked.entries()) {
    if (command.secondsSinceStart() > LAST_START_SECONDS) {
      say(`${question.name} is left out: no time is left`);
      failed++;
      continue;
    }
    await command.begin(question.name, question.title);
    await ask(question, hurried(pace, shareOf(asked.slice(index))));
  }
} finally {
  await Promise.all([bed.stop(), pool.stop()]);
}

if (command.isWhole) figures['bench.minutes'] = command.secondsSinceStart() / 60;
const peers = readResults('peers');
const targets = targetTable({ ...peerFigures(), ...figures });
print(tableText(targets));
if (peers) print(`Figures against peers are of ${peers.machine.date} (make bench-peers).`);
if (command.isWhole) {
  const seconds = command.secondsSinceStart();
  const { machine, othersPercent } = command;
  const results = { machine, seconds, othersPercent, figures, tables: [...tables, targets] };
  saveResults('bench', results);
  writeSection('make bench', resultsSection(results));
}
say(failed === 0 ? 'done' : `done, but ${failed} of the questions failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function ask(question: Question, pace: Pace): Promise<void> {
  let answer: Answer;
  try {
    answer = await question.ask({ pace, bed, pool, say });
  } catch (error) {
    print(`${question.name} FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    failed++;
    return;
  }
  for (const table of answer.tables) print(tableText(table));
  tables.push(...answer.tables);
  Object.assign(figures, answer.figures);
}

/** How much of the time that these usually take is left for them. */
function shareOf(questions: readonly Question[]): number {
  const usualSeconds = questions.reduce((sum, question) => sum + question.usualSeconds, 0);
  return (END_SECONDS - command.secondsSinceStart()) / usualSeconds;
}

function peerFigures(): Record<string, number> {
  return Object.fromEntries(Object.entries(peers?.figures ?? {}).filter(([name]) => name.startsWith('peers.')));
}
