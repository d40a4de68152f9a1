/** The operating system's side of one runtime: spawned in its sandbox, signalled, measured, and followed to its very end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Launch, ProcessEnd } from './processParts.js';
import { killMarked, peakMemoryKib, ProcessTree } from './processGroup.js';
import type { Enclosure } from './sandbox/sandboxOptions.js';

/** How long what a dead process wrote may take to arrive; a descriptor that leaked to a stranger could keep the pipe open. */
const LAST_WORDS_MS = 200;
const STDERR_LIMIT_CHARS = 8_192;
/** Inherited by all that a function starts: what has left the group is known by it when its parent is gone. */
const MARK_VARIABLE = 'MPCSFAAS_PROCESS';

export type ChildEnd = Omit<ProcessEnd, 'reason' | 'crashReport'>;

export class RuntimeChild {
  readonly input: Socket;
  readonly output: Socket;
  /** Of Python so far, as far as it was looked at. */
  peakMemoryKib = 0;
  private readonly enclosure: Enclosure;
  private readonly child: ChildProcess;
  private readonly tree: ProcessTree | undefined;
  private readonly mark = `${MARK_VARIABLE}=${randomUUID()}`;
  private wasSignalled = false;
  private stderr = '';
  private main: number | undefined;

  /** @throws where no descriptor is left for its pipes */
  constructor({ sandbox, runtimeFolder }: Launch, token: number, pageFd: number) {
    this.enclosure = sandbox.enclose(token);
    const { file, args, environment, uid, gid } = this.enclosure.spawn;
    const { wrappers } = this.enclosure;
    this.child = spawn(file, args, {
      cwd: runtimeFolder,
      env: { ...environment, [MARK_VARIABLE]: this.mark.slice(MARK_VARIABLE.length + 1) },
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
      // Its own session, so that its whole group can be signalled, and a terminal's ctrl-C does not reach it.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', pageFd],
    });
    // Node then makes no pipes, and says why a moment later.
    if ((this.child.stdio as unknown) === undefined) {
      this.child.on('error', () => undefined);
      this.enclosure.leave();
      throw new Error('too many open files: raise the limit (ulimit -n) of the worker');
    }
    if (this.child.pid !== undefined) this.tree = new ProcessTree(this.child.pid, wrappers);
    if (wrappers === 0) this.main = this.child.pid;
    const [, , , input, output] = this.child.stdio;
    this.input = input as Socket;
    this.output = output as Socket;
    // Errors of the pipes only repeat that the process is gone, which its exit tells better.
    this.input.on('error', () => undefined);
    this.output.on('error', () => undefined);
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-STDERR_LIMIT_CHARS);
    });
  }

  /** Of what was spawned. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Of Python itself, as it is called out here; once it runs. */
  get pythonPid(): number | undefined {
    return (this.main ??= this.tree?.main());
  }

  get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** To it and all below. */
  signal(signal: NodeJS.Signals): void {
    this.wasSignalled = true;
    this.tree?.signal(signal);
  }

  /** To Python alone. */
  poke(signal: NodeJS.Signals): void {
    const pid = this.pythonPid;
    if (pid === undefined || this.hasExited) return;
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended, which is told elsewhere.
    }
  }

  measureMemory(): void {
    const pid = this.pythonPid;
    if (pid !== undefined) this.peakMemoryKib = Math.max(this.peakMemoryKib, peakMemoryKib(pid));
  }

  /** Once, when its status is known, everything it had written is read, and all below it is killed. */
  onEnd(listener: (end: ChildEnd) => void): void {
    let hasEnded = false;
    const finish = (end: Pick<ChildEnd, 'exitCode' | 'signal' | 'error'>): void => {
      if (hasEnded) return;
      hasEnded = true;
      listener({ ...end, stderr: this.stderr.trim(), outOfMemory: this.enclosure.ranOutOfMemory() });
      for (const stream of this.child.stdio) stream?.destroy();
      this.enclosure.leave();
    };
    this.child.once('error', (error) => {
      // `error` also reports a failed kill; only without a pid was nothing started.
      if (this.pid === undefined) finish({ exitCode: null, signal: null, error });
    });
    this.child.once('exit', (exitCode, signal) => {
      // It was not looked at before it ended: who has a session of its own is nobody's child now.
      if (!this.wasSignalled) killMarked(this.mark);
      this.signal('SIGKILL');
      const done = (): void => {
        clearTimeout(timer);
        finish(this.enclosure.exitOf({ exitCode, signal }));
      };
      const timer = setTimeout(done, LAST_WORDS_MS);
      if (this.output.closed || this.output.readableEnded) done();
      else this.output.once('close', done);
    });
  }
}
