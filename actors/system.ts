import type { Clock } from './clock.js';

/** A running child, as its start function hands it over. */
export interface Child {
  /**
   * Resolves, never rejects, when the child is gone for whatever reason; the text says how, such as `SIGKILL` or `exit code 0`.
   */
  readonly exited: Promise<string>;
  /** Asks it to stop and resolves when it is gone. Must be bounded by itself; the system adds its own bound on top. */
  stop(): Promise<void>;
}

/** How a process ends that has done all it had to do. */
const IN_ORDER = 'exit code 0';

export interface ChildSpec {
  readonly name: string;
  /**
   * `permanent`: started again whenever it ends. `transient`: unless it ended in order, as one does that was drained. `temporary`: its
   * end is reported, nothing more.
   */
  readonly restart: 'permanent' | 'transient' | 'temporary';
  /** Resolves when the child serves. When the signal aborts it must give up: undo what it began, and reject. */
  start(signal: AbortSignal): Promise<Child>;
}

export interface RestartPolicy {
  /** More restarts than this within `periodMs`, over all children, and the system gives up. */
  readonly maxRestarts: number;
  readonly periodMs: number;
  /** Pause before the first restart; doubles with each restart within the period, up to `maxDelayMs`. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

const DEFAULT_RESTART_POLICY: RestartPolicy = {
  maxRestarts: 5,
  periodMs: 30_000,
  firstDelayMs: 100,
  maxDelayMs: 5000,
};

/** What happened, for whoever shows it to people. */
export type SystemEvent =
  | { type: 'childStarted'; child: string }
  /** A child ended though the system had not asked it to. */
  | { type: 'childExited'; child: string; how: string }
  /** A transient child has ended in order: it was drained, and is not started again. */
  | { type: 'childLeft'; child: string }
  | { type: 'childRestarting'; child: string; delayMs: number }
  /** A step of stopping failed or took too long; the steps after it were done all the same. */
  | { type: 'stopFailed'; child: string; why: string };

export interface SystemOptions {
  /** Children of one stage start and stop together; stages start in this order, each when the one before serves. */
  readonly stages: readonly (readonly ChildSpec[])[];
  readonly clock: Clock;
  readonly policy?: RestartPolicy;
  /** Longest wait for one stage to stop before the next is stopped anyway. */
  readonly stopTimeoutMs: number;
  readonly onEvent?: (event: SystemEvent) => void;
}

/** Why a system ended: `stopped` because it was asked to, `failed` with one sentence otherwise. */
export type SystemEnd = { type: 'stopped' } | { type: 'failed'; message: string };

interface Slot {
  readonly spec: ChildSpec;
  child?: Child;
  restartTimer?: unknown;
  /** Settles when the start under way has succeeded or failed; stopping waits for it, or would miss the child it makes. */
  starting?: Promise<void>;
}

/**
 * Starts children in order, stops them in reverse, restarts those that crash: OTP's supervisor, one-for-one.
 *
 * - `idle`: made, nothing started. `start()` enters `starting`.
 * - `starting`: stage by stage. All serve: `running`. One fails, or ends meanwhile and cannot be restarted: `stopping`.
 * - `running`: a permanent child that ends is started again after a pause that doubles; a start that fails counts as an end.
 *   More than `maxRestarts` within `periodMs`: `stopping`, because a crash that repeats is a fault that restarting hides.
 * - `stopping`: entered once, by `stop()` or a failure; the last stage first, each bounded, going on past a failing step.
 * - `stopped`: final; `ended` has resolved with the reason.
 *
 * The trade-off of one-for-one: a child is not restarted because one that it depends on was. Actors here outlive the absence
 * of Redis, NATS and each other, so restarting them along would only interrupt work.
 */
export class System {
  /** Resolves, never rejects, when everything is down. */
  readonly ended: Promise<SystemEnd>;

  #state: 'idle' | 'starting' | 'running' | 'stopping' | 'stopped' = 'idle';
  readonly #stages: readonly (readonly Slot[])[];
  readonly #options: SystemOptions;
  readonly #policy: RestartPolicy;
  readonly #aborter = new AbortController();
  /** When the restarts of the current period happened, oldest first, ms of the clock's `now`. */
  #restartsMs: number[] = [];
  #resolveEnded!: (end: SystemEnd) => void;

  constructor(options: SystemOptions) {
    this.#options = options;
    this.#policy = options.policy ?? DEFAULT_RESTART_POLICY;
    this.#stages = options.stages.map((stage) => stage.map((spec) => ({ spec })));
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  get state(): 'idle' | 'starting' | 'running' | 'stopping' | 'stopped' {
    return this.#state;
  }

  /**
   * Resolves with true when every child serves, with false when the system was stopped, or failed, before that; then what had
   * started is down again and `ended` has the reason.
   */
  async start(): Promise<boolean> {
    if (this.#state !== 'idle') throw new Error(`A system starts once; this one is ${this.#state}.`);
    this.#state = 'starting';
    for (const stage of this.#stages) {
      const starts = await Promise.allSettled(stage.map((slot) => this.#startChild(slot)));
      const failed = starts.find((start) => start.status === 'rejected');
      if (failed !== undefined) void this.#stop({ type: 'failed', message: sentenceOf(failed.reason) });
      if (this.#aborter.signal.aborted) {
        await this.ended;
        return false;
      }
    }
    this.#state = 'running';
    return true;
  }

  /** Stops everything; idempotent, and right at any time. Resolves when all is down. */
  async stop(): Promise<void> {
    void this.#stop({ type: 'stopped' });
    await this.ended;
  }

  #startChild(slot: Slot): Promise<void> {
    const start = async (): Promise<void> => {
      const child = await slot.spec.start(this.#aborter.signal);
      slot.child = child;
      void child.exited.then((how) => this.#childExited(slot, child, how));
      this.#tell({ type: 'childStarted', child: slot.spec.name });
    };
    const starting = start();
    slot.starting = starting.catch(() => undefined);
    return starting;
  }

  #childExited(slot: Slot, child: Child, how: string): void {
    if (slot.child !== child) return;
    delete slot.child;
    if (this.#aborter.signal.aborted) return;
    const { name, restart } = slot.spec;
    if (restart === 'transient' && how === IN_ORDER) {
      this.#tell({ type: 'childLeft', child: name });
      return;
    }
    this.#tell({ type: 'childExited', child: name, how });
    if (restart !== 'temporary') this.#restartLater(slot, how);
  }

  #restartLater(slot: Slot, how: string): void {
    const { maxRestarts, periodMs, firstDelayMs, maxDelayMs } = this.#policy;
    const nowMs = this.#options.clock.now();
    this.#restartsMs = [...this.#restartsMs.filter((atMs) => nowMs - atMs < periodMs), nowMs];
    const restarts = this.#restartsMs.length;
    if (restarts > maxRestarts) {
      const often = `more than ${maxRestarts} restarts in ${periodMs / 1000} s`;
      void this.#stop({ type: 'failed', message: `${slot.spec.name} keeps failing (${often}); the last time: ${how}` });
      return;
    }
    const delayMs = Math.min(firstDelayMs * 2 ** (restarts - 1), maxDelayMs);
    this.#tell({ type: 'childRestarting', child: slot.spec.name, delayMs });
    slot.restartTimer = this.#options.clock.setTimeout(() => {
      delete slot.restartTimer;
      this.#startChild(slot).catch((error: unknown) => {
        if (!this.#aborter.signal.aborted) this.#restartLater(slot, sentenceOf(error));
      });
    }, delayMs);
  }

  async #stop(end: SystemEnd): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'stopped') return;
    this.#state = 'stopping';
    this.#aborter.abort();
    for (const slot of this.#stages.flat()) this.#options.clock.clearTimeout(slot.restartTimer);
    for (const stage of this.#stages.toReversed()) {
      await Promise.all(stage.map((slot) => this.#stopChild(slot)));
    }
    this.#state = 'stopped';
    this.#resolveEnded(end);
  }

  async #stopChild(slot: Slot): Promise<void> {
    const stop = async (): Promise<void> => {
      await slot.starting;
      await slot.child?.stop();
    };
    const { clock, stopTimeoutMs } = this.#options;
    let timer: unknown;
    const timeout = new Promise<never>((_, reject) => {
      timer = clock.setTimeout(() => {
        reject(new Error(`not down after ${stopTimeoutMs} ms`));
      }, stopTimeoutMs);
    });
    try {
      await Promise.race([stop(), timeout]);
    } catch (error) {
      this.#tell({ type: 'stopFailed', child: slot.spec.name, why: sentenceOf(error) });
    } finally {
      clock.clearTimeout(timer);
    }
  }

  #tell(event: SystemEvent): void {
    this.#options.onEvent?.(event);
  }
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
