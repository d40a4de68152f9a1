/** The Python side of the specs: an interpreter that pickles functions and loads results as a user's client would. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export const PYTHON = process.env.PYTHON ?? 'python3';

/** A file of this folder, which tsc does not copy beside the compiled specs. */
export function sourceFile(name: string): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, 'specs', 'workers', name);
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder)) throw new Error(`${name} is missing`);
  }
}

export interface Loaded {
  repr: string;
  type: string;
  /** Of exceptions only. */
  text?: string;
  cause?: string;
  module?: string;
  bases?: string[];
}

interface Answer {
  answer?: unknown;
  error?: string;
}

export class PythonClient {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly waiting: ((answer: Answer) => void)[] = [];

  constructor() {
    this.child = spawn(PYTHON, [sourceFile('support/client.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface(this.child.stdout).on('line', (line) => this.waiting.shift()?.(JSON.parse(line) as Answer));
  }

  /** Pickles the function `f` that the source defines in `__main__`. */
  async function(source: string): Promise<Buffer> {
    return Buffer.from((await this.ask({ do: 'function', source })) as string, 'base64');
  }

  /** Pickles the value of an expression, such as `((1, 2), {})`. */
  async value(source: string): Promise<Buffer> {
    return Buffer.from((await this.ask({ do: 'value', source })) as string, 'base64');
  }

  async load(payload: Buffer): Promise<Loaded> {
    return (await this.ask({ do: 'load', payload: payload.toString('base64') })) as Loaded;
  }

  close(): void {
    this.child.stdin.end();
  }

  private async ask(request: object): Promise<unknown> {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
    const { answer, error } = await new Promise<Answer>((resolve) => this.waiting.push(resolve));
    if (error !== undefined) throw new Error(error);
    return answer;
  }
}
