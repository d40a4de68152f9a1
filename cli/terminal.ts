import type { LogFormat } from '../bus/config.js';

const COLOURS = [36, 32, 33, 35, 34, 96, 92, 93, 95, 94];
const NAME_WIDTH = 10;

/**
 * What `up` shows: the children's lines, each behind its actor's name, and a few of its own. In `json` the children's lines stay
 * as they are, and its own are objects too, so that the whole stream can be parsed.
 */
export class Terminal {
  readonly #format: LogFormat;
  readonly #coloured: boolean;
  readonly #colourOf = new Map<string, number>();

  constructor(format: LogFormat, env: Readonly<Record<string, string | undefined>>) {
    this.#format = format;
    this.#coloured = process.stdout.isTTY && env['NO_COLOR'] === undefined && format === 'pretty';
  }

  childLine(name: string, line: string): void {
    if (this.#format === 'json') this.#write(line);
    else this.#write(`${this.#label(name)}${line}`);
  }

  say(message: string): void {
    if (this.#format === 'json') this.#write(JSON.stringify({ level: 30, time: Date.now(), name: 'up', msg: message }));
    else this.#write(`${this.#label('up')}${message}`);
  }

  /** Lines for people only; nothing in `json`. */
  banner(lines: readonly string[]): void {
    if (this.#format === 'pretty') this.#write(['', ...lines, ''].join('\n'));
  }

  #label(name: string): string {
    const text = `${name.padEnd(NAME_WIDTH)} | `;
    return this.#coloured ? `\u001b[${this.#colour(name)}m${text}\u001b[0m` : text;
  }

  #colour(name: string): number {
    const known = this.#colourOf.get(name);
    if (known !== undefined) return known;
    const colour = COLOURS[this.#colourOf.size % COLOURS.length] ?? 0;
    this.#colourOf.set(name, colour);
    return colour;
  }

  #write(text: string): void {
    process.stdout.write(`${text}\n`);
  }
}
