import { type DestinationStream, type Logger, pino } from 'pino';
import type { LogFormat, LogLevel } from './config.js';
import { type LogLines, stdoutLines } from './logLines.js';
import { type LineStyle, transitionLog, type TransitionLog } from './transitionLog.js';

export interface LogOptions {
  level: LogLevel;
  format: LogFormat;
  /** Colours, for a terminal. */
  colour: boolean;
  /** On every line: which process it is from. */
  base: Record<string, string>;
}

/** A logger to stdout, the log of transitions among its lines, and what writes out the lines it still has. */
export interface Log {
  log: Logger;
  transition: TransitionLog;
  flush: () => Promise<void>;
}

const WARN = 40;

export function openLog(options: LogOptions, lines: LogLines = stdoutLines()): Log {
  const { level, format, colour, base } = options;
  const style: LineStyle = { format, colour, base };
  const stream: DestinationStream & { lastLevel: number } = {
    // Set by pino before each write, because of the symbol below.
    lastLevel: 0,
    write(line) {
      lines.write(format === 'json' ? line : prettyLine(line, colour));
      if (this.lastLevel >= WARN) lines.hurry();
    },
  };
  Object.assign(stream, { [Symbol.for('pino.metadata')]: true });
  const log = pino({ level, base }, stream);
  const write = (line: string): void => {
    lines.write(line);
  };
  const transition = log.isLevelEnabled('info') ? transitionLog(write, style) : () => undefined;
  return { log, transition, flush: () => lines.flush() };
}

const LEVELS: Record<number, [name: string, colour: number]> = {
  10: ['trace', 90],
  20: ['debug', 90],
  30: ['info', 32],
  40: ['warn', 33],
  50: ['error', 31],
  60: ['fatal', 31],
};

/** Left out of pretty lines: who writes is seen from where the line appears. */
const HIDDEN = new Set(['level', 'time', 'actor', 'msg', 'err']);

/** One line for people; those of transitions, the most of a log, are made in `transitionLog.ts`. */
function prettyLine(json: string, colour: boolean): string {
  const line = JSON.parse(json) as Record<string, unknown>;
  const [level, levelColour] = LEVELS[Number(line.level)] ?? ['?', 0];
  const time = new Date(Number(line.time)).toISOString().slice(11, 23);
  const paint = (text: string, code: number): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const parts = [paint(time, 90), paint(level.padEnd(5), levelColour)];
  if (typeof line.msg === 'string') parts.push(line.msg);
  for (const [key, value] of Object.entries(line)) {
    if (!HIDDEN.has(key))
      parts.push(paint(`${key}=`, 90) + (typeof value === 'string' ? value : JSON.stringify(value)));
  }
  const error = line.err as { stack?: string; message?: string } | undefined;
  if (error) parts.push(`\n${error.stack ?? error.message ?? ''}`);
  return `${parts.join(' ')}\n`;
}
