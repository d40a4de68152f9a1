import { readable } from './statistics.js';

export type Cell = string | number;

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** What a reader must know to read the figures: settings, and how they were measured. */
  readonly notes?: readonly string[];
}

const textOf = (cell: Cell): string => (typeof cell === 'number' ? readable(cell) : cell);

/** For a terminal: first column to the left, the others to the right. */
export function tableText({ title, columns, rows, notes = [] }: Table): string {
  const lines = [columns, ...rows.map((row) => row.map(textOf))];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  const paint = (line: readonly string[]): string =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  const [head = [], ...body] = lines;
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return ['', title, rule, paint(head), rule, ...body.map(paint), rule, ...notes.map((note) => `  ${note}`), ''].join(
    '\n',
  );
}

export function tableMarkdown({ title, columns, rows, notes = [] }: Table): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = `|${columns.map((_, column) => (column === 0 ? '---' : '---:')).join('|')}|`;
  const body = rows.map((row) => line(row.map(textOf)));
  const below = notes.length === 0 ? [] : ['', ...notes.map((note) => `- ${note}`)];
  return [`**${title}**`, '', line(columns), rule, ...body, ...below].join('\n');
}

export function csv(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const quote = (cell: Cell): string =>
    /[",\n]/.test(String(cell)) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell);
  return [columns, ...rows].map((row) => `${row.map(quote).join(',')}\n`).join('');
}
