import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { processTree } from './processes.js';

export interface ProgramOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

const DEFAULT_TIMEOUT_MS = 120_000;
/** After its stdin has ended, before it and what it started is killed. */
const STOP_GRACE_MS = 8_000;
const MAX_ERROR_CHARACTERS = 4_000;

/**
 * A program that is measured, or measures: it reads one JSON request per line and answers each with one line, `{"ok": ...}` or
 * `{"error": "..."}`; before the first it says by a line that it is ready. It ends, and ends what it has started, when its stdin does.
 */
export class Program {
  private readonly child: ChildProcess;
  private readonly answers: ((line: string | undefined) => void)[] = [];
  private lastWords = '';
  private ended = false;

  /** @throws with the program's own words when it does not become ready. */
  static async start(options: ProgramOptions, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Program> {
    const program = new Program(options);
    await program.answer(timeoutMs);
    return program;
  }

  private constructor({ command, args, env = {}, cwd }: ProgramOptions) {
    this.child = spawn(command, args, { env: { ...process.env, ...env }, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    createInterface({ input: this.child.stdout as Readable }).on('line', (line) => this.answers.shift()?.(line));
    (this.child.stderr as Readable).setEncoding('utf8').on('data', (text: string) => {
      this.lastWords = (this.lastWords + text).slice(-MAX_ERROR_CHARACTERS);
    });
    const end = (): void => {
      this.ended = true;
      for (const answer of this.answers.splice(0)) answer(undefined);
    };
    this.child.once('exit', end);
    this.child.once('error', (error) => {
      this.lastWords = error.message;
      end();
    });
    // It may end before it has read all: `ask` says so.
    this.child.stdin?.on('error', () => undefined);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** @throws with the program's own words when it fails, ends, or takes longer than `timeoutMs`; then it is killed. */
  async ask<Answer>(request: object, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Answer> {
    if (this.ended) throw new Error(`it has ended: ${this.lastLine()}`);
    this.child.stdin?.write(`${JSON.stringify(request)}\n`);
    return this.answer(timeoutMs);
  }

  private async answer<Answer>(timeoutMs: number): Promise<Answer> {
    const line = new Promise<string | undefined>((resolve) => this.answers.push(resolve));
    const timer = setTimeout(() => {
      this.lastWords = `no answer within ${timeoutMs / 1000} s`;
      this.kill();
    }, timeoutMs);
    const text = await line;
    clearTimeout(timer);
    if (text === undefined) throw new Error(this.lastLine());
    const answer = JSON.parse(text) as { ok: Answer } | { error: string };
    if ('error' in answer) throw new Error(answer.error);
    return answer.ok;
  }

  async stop(): Promise<void> {
    if (this.ended) return;
    const descendants = processTree(this.pid);
    const exited = once(this.child, 'exit');
    this.child.stdin?.end();
    const timer = setTimeout(() => {
      for (const pid of descendants) kill(pid);
    }, STOP_GRACE_MS);
    await exited;
    clearTimeout(timer);
  }

  private kill(): void {
    for (const pid of processTree(this.pid)) kill(pid);
  }

  private lastLine(): string {
    return this.lastWords.trim().split('\n').at(-1) ?? 'it said nothing';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
