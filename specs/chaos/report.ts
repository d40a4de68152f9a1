import type { Row } from './fault.js';

const COLUMNS: readonly [title: string, width: number, of: (row: Row) => string | number][] = [
  ['accepted', 9, (row) => row.accepted],
  ['completed', 10, (row) => row.completed],
  ['lost', 5, (row) => row.lost],
  ['wrong', 6, (row) => row.wrong],
  ['starts', 8, (row) => row.starts],
  ['stale', 6, (row) => row.stale],
  ['dupl.', 6, (row) => row.duplicate],
  ['recovery', 10, (row) => `${row.recoveryMs} ms`],
  ['orphans', 8, (row) => row.orphans],
];
const NAME_WIDTH = 72;

export function headerLine(): string {
  return `${'fault'.padEnd(NAME_WIDTH)}${COLUMNS.map(([title, width]) => title.padStart(width)).join('')}`;
}

export function rowLines(row: Row): string[] {
  const name = row.fault.padEnd(NAME_WIDTH);
  if (row.skipped !== undefined && row.skipped !== '') return [`${name}  skipped: ${row.skipped}`];
  const cells = COLUMNS.map(([, width, of]) => String(of(row)).padStart(width)).join('');
  return [
    `${name}${cells}  ${row.violations.length === 0 ? 'ok' : 'VIOLATED'}`,
    ...row.violations.map((text) => `    ${text}`),
  ];
}
