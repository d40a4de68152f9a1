import { styleText } from 'node:util';

/** Where commands for people write: tables and colours for a terminal, objects for programs. */
export interface Screen {
  readonly json: boolean;
  readonly isTerminal: boolean;
  line(text?: string): void;
  /** One object, on one line. */
  object(value: unknown): void;
  raw(text: string): void;
  note(text: string): void;
  paint(style: Style, text: string): string;
}

export type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan';

export function openScreen(json: boolean, env: Readonly<Record<string, string | undefined>>): Screen {
  const { stdout, stderr } = process;
  // A reader that has seen enough (`| head`) is no fault.
  stdout.on('error', () => process.exit());
  const coloured = stdout.isTTY && !json && (env['NO_COLOR'] ?? '') === '';
  return {
    json,
    isTerminal: stdout.isTTY,
    line: (text = '') => void stdout.write(`${text}\n`),
    object: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
    raw: (text) => void stdout.write(text),
    note: (text) => void stderr.write(`${text}\n`),
    paint: (style, text) => (coloured ? styleText(style, text, { validateStream: false }) : text),
  };
}

// eslint-disable-next-line no-control-regex -- what a colour looks like
const COLOUR = /\u001b\[[\d;]*m/g;
const widthOf = (text: string): number => text.replace(COLOUR, '').length;

/** Columns as wide as they need to be; the last one takes what is left. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => widthOf(row[column] ?? ''))));
  return all.map((row) =>
    row
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell))))
      .join('  ')
      .trimEnd(),
  );
}
