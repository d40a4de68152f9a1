/** `make bench-scaling`: the course's performance study, weak scaling over workers and modes, as CSV, pictures and report. */
import { plotSvg } from './scaling/plot.js';
import { studyPlots } from './scaling/plots.js';
import { studyTables } from './scaling/studyTables.js';
import { MODES, type Point, runStudy, WORKERS } from './scaling/study.js';
import { openCommand } from './support/command.js';
import { provenance, writeSection } from './support/report.js';
import { saveFile } from './support/results.js';
import { csv, tableMarkdown, tableText } from './support/table.js';

/** Few tasks end within milliseconds: there, only many rounds tell anything. */
const ROUNDS = { 5: 15, 500: 3 };
const POINT_BUDGET_SECONDS = 20;
const CSV = 'scaling.csv';

const command = openCommand('MPCSFaaS weak scaling');
const { machine, print, say } = command;
const quick = command.pace.scale < 1;

const points = await runStudy({
  cores: machine.cores,
  rounds: quick ? {} : ROUNDS,
  budgetSeconds: POINT_BUDGET_SECONDS,
  workers: quick ? [1, 2] : WORKERS,
  modes: MODES,
  begin: command.begin,
});
const tables = studyTables(points);
for (const table of tables) print(tableText(table));
if (command.isWhole) save(points);
say('done');

function save(all: readonly Point[]): void {
  const columns = Object.keys(all[0] ?? {}) as (keyof Point)[];
  const rows = all.map((point) => columns.map((column) => cell(point[column])));
  saveFile(CSV, csv(columns, rows));
  const plots = studyPlots(all, machine.cores);
  for (const { name, plot } of plots) saveFile(`${name}.svg`, plotSvg(plot));
  const pictures = plots.map(({ name, plot }) => `![${plot.title}](results/${name}.svg)`);
  const parts = [
    provenance(machine, command.secondsSinceStart(), command.othersPercent),
    ...pictures,
    ...tables.map(tableMarkdown),
  ];
  writeSection('make bench-scaling', parts.join('\n\n'));
  print(`${all.length} points in bench/results/${CSV}, ${plots.length} pictures beside it, and in bench/REPORT.md`);
}

function cell(value: Point[keyof Point]): string | number {
  if (value === undefined) return '';
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}
