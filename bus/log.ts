import { destination, type DestinationStream, type Logger, pino } from 'pino';
import type { LogFormat, LogLevel } from './config.js';

export interface LogOptions {
  level: LogLevel;
  format: LogFormat;
  /** Colours, for a terminal. */
  colour: boolean;
  /** On every line: which process it is from. */
  base: Record<string, string>;
}

/** A logger to stdout, and what writes out the lines it still has; lines are written behind, several at once under load. */
export interface Log {
  log: Logger;
  flush: () => Promise<void>;
}

export function openLog({ level, format, colour, base }: LogOptions): Log {
  const stdout = destination({ dest: 1, sync: false });
  // A reader that has gone away (a closed terminal) must not take the actor with it.
  stdout.on('error', () => undefined);
  const stream: DestinationStream =
    format === 'json' ? stdout : { write: (line) => stdout.write(prettyLine(line, colour)) };
  const log = pino({ level, base }, stream);
  const flush = (): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(resolve, 500).unref();
      stdout.flush(() => {
        resolve();
      });
    });
  return { log, flush };
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
const HIDDEN = new Set(['level', 'time', 'actor', 'msg', 'machine', 'id', 'from', 'event', 'to', 'err']);

/**
 * One line for people, about 3 us. Transitions are the most of a log, so they get the shape that reads best:
 * `12:00:01.234 info task 5c9e... queued -> running (task.claimed) worker=w1 attempt=1`.
 */
export function prettyLine(json: string, colour: boolean): string {
  const line = JSON.parse(json) as Record<string, unknown>;
  const [level, levelColour] = LEVELS[Number(line.level)] ?? ['?', 0];
  const time = new Date(Number(line.time)).toISOString().slice(11, 23);
  const paint = (text: string, code: number): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const parts = [paint(time, 90), paint(level.padEnd(5), levelColour)];
  if (typeof line.machine === 'string') {
    parts.push(
      paint(line.machine, 36),
      String(line.id),
      String(line.from),
      '->',
      paint(String(line.to), 1),
      `(${String(line.event)})`,
    );
  }
  if (typeof line.msg === 'string') parts.push(line.msg);
  for (const [key, value] of Object.entries(line)) {
    if (!HIDDEN.has(key))
      parts.push(paint(`${key}=`, 90) + (typeof value === 'string' ? value : JSON.stringify(value)));
  }
  const error = line.err as { stack?: string; message?: string } | undefined;
  if (error) parts.push(`\n${error.stack ?? error.message ?? ''}`);
  return `${parts.join(' ')}\n`;
}
