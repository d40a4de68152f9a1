import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { PYTHON } from './specEnvironment.js';

export { PYTHON };

const SCRIPT = join(PACKAGE_ROOT, 'specs', 'support', 'pickler.py');

/** What a client sees when it loads a result with dill alone. */
export interface LoadedValue {
  /** Qualified name of the class, such as `builtins.ValueError`. */
  type: string;
  repr: string;
  /** `str(value)`. */
  text: string;
  isException: boolean;
  /** An exception with its causes and remote traceback, as Python prints it; empty for other values. */
  printed: string;
}

/** A Python with dill alone, kept running, that makes pickles and loads results as users' programs do. */
export class PythonClient {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting: { resolve: (answer: string) => void; reject: (error: Error) => void }[] = [];

  constructor(python: string = PYTHON) {
    // Without PYTHONPATH: what a client loads must not need the platform's own package.
    this.#process = spawn(python, [SCRIPT], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, PYTHONPATH: '' },
    });
    this.#lines = createInterface({ input: this.#process.stdout! });
    this.#lines.on('line', (line) => this.#answered(line));
    this.#process.once('exit', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('The Python of the specs has ended.'));
    });
  }

  /** Runs `source` as a program would and pickles what it calls `name`: base64 of `dill.dumps`, in lines of 76 as codecs does. */
  pickleFunction(source: string, name: string): Promise<string> {
    return this.#ask({ do: 'pickleNamed', source, name });
  }

  /** Pickles the value of an expression: `((1, 2), {'key': 'value'})` for arguments. */
  pickle(expression: string): Promise<string> {
    return this.#ask({ do: 'pickleExpression', expression });
  }

  /** Pickles arguments that JSON can say. */
  pickleArguments(args: readonly unknown[], kwargs: Record<string, unknown> = {}): Promise<string> {
    return this.#ask({ do: 'pickleArguments', args, kwargs });
  }

  /** Pickles arguments that are the values of these tasks. */
  pickleReferences(ids: readonly string[]): Promise<string> {
    return this.#ask({ do: 'pickleReferences', ids });
  }

  async load(base64: string): Promise<LoadedValue> {
    return JSON.parse(await this.#ask({ do: 'load', base64 })) as LoadedValue;
  }

  /** Loads a result and returns it, for values that JSON can say. */
  async loadJson(base64: string): Promise<unknown> {
    return JSON.parse(await this.#ask({ do: 'loadJson', base64 }));
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    this.#process.stdin?.end();
    await once(this.#process, 'exit');
    this.#lines.close();
  }

  #ask(request: Record<string, unknown>): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#process.stdin?.write(`${JSON.stringify(request)}\n`);
    });
  }

  #answered(line: string): void {
    const answer = JSON.parse(line) as { ok: string } | { error: string };
    const waiting = this.#waiting.shift();
    if ('ok' in answer) waiting?.resolve(answer.ok);
    else waiting?.reject(new Error(answer.error));
  }
}
