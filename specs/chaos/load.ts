import { setTimeout as sleep } from 'node:timers/promises';
import type { SpecPlatform } from '../support/platform.js';
import type { Workload } from './workload.js';

/** Most tasks that the load keeps accepted and unfinished; some more than the workers can run at once. */
const OUTSTANDING = 40;
const BATCH = 8;
/** Three short tasks, then one that keeps its slot busy for a while. */
const SECONDS = [0.01, 0.03, 0.02, 0.3] as const;
const POLL_MS = 50;
const RETRY_MS = 50;
/** Most results of one question. */
const MAX_ASKED = 500;
/** So many that faults, which the suite repeats at will, never use them up: every good task must complete. */
const MAX_ATTEMPTS = 50;
const FINAL = ['COMPLETED', 'FAILED', 'CANCELLED'];

/** Calls an API. */
export type Caller = (...call: Parameters<SpecPlatform['call']>) => ReturnType<SpecPlatform['call']>;

/** A task that the API has accepted, and what its client has seen of it. */
export interface Accepted {
  readonly id: string;
  readonly number: number;
  readonly seconds: number;
  readonly acceptedAtMs: number;
  readonly kind: 'good' | 'poison';
  status: string;
  result: string;
}

/**
 * A client that keeps a platform busy and remembers what it was promised. An answer other than 200, or none, means that it does
 * not know whether the tasks exist: it submits others, under new numbers, and expects nothing of those.
 */
export class Load {
  readonly accepted: Accepted[] = [];
  /** Calls that were refused or got no answer. */
  unanswered = 0;
  /** The platform's own API. */
  readonly api: Caller = (...call) => this.platform.call(...call);
  readonly #unfinished = new Map<string, Accepted>();
  #numbers = 0;
  #submitting = false;
  #collecting = true;
  #submitter: Promise<void> = Promise.resolve();
  readonly #collector: Promise<void>;

  constructor(
    private readonly platform: SpecPlatform,
    private readonly workload: Workload,
    readonly functions: Readonly<Record<Accepted['kind'], string>>,
    private readonly scale = 1,
  ) {
    this.#collector = this.#collect();
  }

  get completed(): number {
    return this.accepted.length - this.#unfinished.size;
  }

  /** Submits whenever fewer than its share are unfinished, until `pause`. */
  start(): void {
    if (this.#submitting) return;
    this.#submitting = true;
    this.#submitter = this.#keepBusy();
  }

  async pause(): Promise<void> {
    this.#submitting = false;
    await this.#submitter;
  }

  /**
   * One request with tasks of the given duration, to the platform's API unless to another. Returns how many were accepted: all or,
   * when the answer is not 200, none.
   */
  async submit(count: number, seconds?: number, kind: Accepted['kind'] = 'good', api = this.api): Promise<number> {
    const calls = Array.from({ length: count }, (): [number, number] => {
      const number = this.#numbers++;
      return [number, seconds ?? SECONDS[number % SECONDS.length]! * this.scale];
    });
    const payloads = await this.workload.arguments(calls);
    const attempts = kind === 'good' ? MAX_ATTEMPTS : 3;
    const body = { function_id: this.functions[kind], payloads, max_attempts: attempts };
    const answer = (await this.#call('/tasks', body, api)) as { task_ids: string[] } | undefined;
    if (answer === undefined) {
      this.unanswered++;
      return 0;
    }
    answer.task_ids.forEach((id, index) => {
      const [number, taskSeconds] = calls[index]!;
      const task = { id, number, seconds: taskSeconds, acceptedAtMs: Date.now(), kind, status: 'QUEUED', result: '' };
      this.accepted.push(task);
      this.#unfinished.set(id, task);
    });
    return count;
  }

  /** Submits until so many are accepted, in requests of `batch`, `clients` at a time. */
  async submitMany(total: number, batch: number, clients: number, seconds: number): Promise<void> {
    let left = total;
    const client = async (): Promise<void> => {
      while (left > 0) {
        const count = Math.min(batch, left);
        left -= count;
        const got = await this.submit(count, seconds);
        left += count - got;
        if (got === 0) await sleep(RETRY_MS);
      }
    };
    await Promise.all(Array.from({ length: clients }, client));
  }

  /** Waits until all have ended. Returns false when some have not, in time. */
  async ended(withinMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + withinMs;
    while (this.#unfinished.size > 0 && performance.now() < deadlineMs) await sleep(POLL_MS);
    return this.#unfinished.size === 0;
  }

  async stop(): Promise<void> {
    await this.pause();
    this.#collecting = false;
    await this.#collector;
  }

  async #keepBusy(): Promise<void> {
    while (this.#submitting) {
      if (this.#unfinished.size > OUTSTANDING - BATCH) await sleep(POLL_MS / 5);
      else if ((await this.submit(BATCH)) === 0) await sleep(RETRY_MS);
    }
  }

  async #collect(): Promise<void> {
    for (let turn = 0; this.#collecting; turn++) {
      const all = [...this.#unfinished.keys()];
      // Round and round, so that the unfinished do not hide the finished.
      const first = all.length > MAX_ASKED ? (turn * MAX_ASKED) % all.length : 0;
      const ids = all.slice(first, first + MAX_ASKED);
      const answer = ids.length === 0 ? undefined : await this.#call('/results', { task_ids: ids, wait: 0 });
      for (const { task_id, status, result } of (answer as { results: Result[] } | undefined)?.results ?? []) {
        const task = this.#unfinished.get(task_id);
        if (!task || !FINAL.includes(status)) continue;
        Object.assign(task, { status, result });
        this.#unfinished.delete(task_id);
      }
      await sleep(POLL_MS);
    }
  }

  async #call(path: string, body: unknown, api = this.api): Promise<unknown> {
    try {
      const { status, body: answer } = await api('POST', path, body);
      return status === 200 ? answer : undefined;
    } catch {
      return undefined; // The API is away.
    }
  }
}

interface Result {
  task_id: string;
  status: string;
  result: string;
}
