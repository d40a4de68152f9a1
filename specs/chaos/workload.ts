import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { PYTHON } from '../support/python.js';

const SCRIPT = join(PACKAGE_ROOT, 'specs', 'chaos', 'workload.py');

/** The Python that makes the tasks and knows what each must return; see `workload.py`. */
export class Workload {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting: ((answer: string) => void)[] = [];

  constructor() {
    this.#process = spawn(PYTHON, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#process.stdout }).on('line', (line) => this.#waiting.shift()?.(line));
  }

  /** Pickle of the function that notes its starts in the journal. */
  goodFunction(journal: string): Promise<string> {
    return this.#ask('goodFunction', journal);
  }

  /** Pickle of a function that notes its start and kills its process. */
  poisonFunction(journal: string): Promise<string> {
    return this.#ask('poisonFunction', journal);
  }

  arguments(calls: readonly (readonly [number: number, seconds: number])[]): Promise<string[]> {
    return this.#ask('arguments', calls);
  }

  /** When the run that each result comes from had started, ms since the epoch; 0 for a wrong result. */
  started(results: readonly (readonly [number: number, result: string])[]): Promise<number[]> {
    return this.#ask('started', results);
  }

  async stop(): Promise<void> {
    this.#process.stdin.end();
    await once(this.#process, 'exit');
  }

  async #ask<Answer>(action: string, argument: unknown): Promise<Answer> {
    const answer = new Promise<string>((resolve) => this.#waiting.push(resolve));
    this.#process.stdin.write(`${JSON.stringify([action, argument])}\n`);
    return JSON.parse(await answer) as Answer;
  }
}
