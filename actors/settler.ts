import { MAX_STEP_BYTES } from '../bus/batches.js';
import type { ControlMessage, SettledTask } from '../bus/controlMessages.js';
import { emptyResult } from '../bus/emptyResult.js';
import type { EndedTask } from '../bus/dependencyResolver.js';
import type { Failure, TaskRef, TaskResult } from '../bus/messages.js';
import type { ProcessMetrics } from '../bus/metrics.js';
import { OneWriter } from '../bus/oneWriter.js';
import { PlatformError } from '../bus/errors.js';
import { isTerminal, type Settlement, type SettleVerdict, type TaskState, type TaskStore } from '../bus/taskStore.js';
import type { Tracer } from '../bus/tracing.js';
import type { TransitionLog } from '../bus/transitionLog.js';
import { attemptSpans, type AttemptTrace } from './attemptTrace.js';
import { Announcer } from './announcer.js';
import type { Clock } from './clock.js';
import { nextTaskState } from './lifecycles/taskTransitions.js';
import type { InFlight } from './workerConnection.js';

const MAX_BATCH = 256;
/** Larger results do not travel in events: Redis and NATS cut off a subscriber that has too much outstanding. */
const MAX_EVENT_PAYLOAD_BYTES = 32 * 1024;
/** Results waiting for Redis, from which on nothing more is claimed. */
const MAX_PENDING = 5_000;
const MAX_PENDING_BYTES = 32 * 1024 * 1024;
const RETRY_DELAY_MS = 200;

/** With what its spans are made of, where the task is traced. */
export type TracedSettlement = Settlement & { trace?: AttemptTrace };

export interface SettlerDeps {
  store: Pick<TaskStore, 'settle'>;
  clock: Clock;
  transition: TransitionLog;
  counts: ProcessMetrics;
  tracer?: Tracer | undefined;
  publish: (message: ControlMessage) => void;
  /** The store has decided: the worker can forget the attempt. */
  acknowledge: (worker: string, settled: TaskRef) => void;
  /** Other tasks depend on these, which have ended. */
  awaited?: (ends: EndedTask[]) => void;
  /** A batch has been written. */
  written?: () => void;
  /** No longer full. */
  roomAgain: () => void;
  /** Tasks went back into the queue. */
  requeued: () => void;
  /** Tasks have ended as their attempts did. */
  ended?: (functionId: string, state: 'completed' | 'failed', runTimeUs: number) => void;
  /** Results of attempts that had been decided before. */
  refused?: (counts: { stale: number; duplicate: number }) => void;
  onError: (error: unknown) => void;
}

export interface SettlerStats {
  completed: number;
  failed: number;
  requeued: number;
  /** Results of attempts that had lost their lease: refused. */
  stale: number;
  /** Results that had been recorded before: acknowledged again. */
  duplicate: number;
}

/**
 * Writes results into Redis in batches and tells who waits for them: the worker (acknowledged), the API's clients (settled), the
 * log. While Redis is away it keeps what it has and tries again; workers keep theirs too, until they are acknowledged, so that
 * nothing depends on this process living on.
 */
export class Settler {
  readonly stats: SettlerStats = { completed: 0, failed: 0, requeued: 0, stale: 0, duplicate: 0 };
  private readonly writer: OneWriter<TracedSettlement>;
  /** Attempts being written: a worker that repeats a result meanwhile adds nothing. */
  private readonly writing = new Set<string>();
  /** Of payloads and output not yet decided on. */
  private pendingBytes = 0;
  private closed = false;
  private readonly announcer: Announcer;

  constructor(private readonly deps: SettlerDeps) {
    this.announcer = new Announcer(deps);
    this.writer = new OneWriter((batch) => this.flush(batch), {
      maxItems: MAX_BATCH,
      maxBytes: MAX_STEP_BYTES,
      sizeOf: bytesOf,
      onError: deps.onError,
    });
  }

  /** Attempts not yet decided. */
  get pending(): number {
    return this.writing.size;
  }

  /** Nothing more should be claimed: its results would come on top. */
  isFull(): boolean {
    return this.writing.size > MAX_PENDING || this.pendingBytes > MAX_PENDING_BYTES;
  }

  push(settlement: TracedSettlement): void {
    const key = attemptKey(settlement);
    if (this.writing.has(key)) return;
    this.writing.add(key);
    this.pendingBytes += bytesOf(settlement);
    this.writer.push(settlement);
  }

  /** Resolves when all has been written, or given up after `close`. */
  async idle(): Promise<void> {
    await this.writer.idle();
    this.announcer.flush();
  }

  /** Stops trying again when the store is away. */
  close(): void {
    this.closed = true;
  }

  private async flush(batch: TracedSettlement[]): Promise<void> {
    try {
      let told = 0;
      const verdicts = await this.settle(batch, (count) => (told += count));
      if (verdicts) this.conclude(batch, verdicts, told === batch.length);
    } finally {
      const wasFull = this.isFull();
      for (const settlement of batch) {
        this.writing.delete(attemptKey(settlement));
        this.pendingBytes -= bytesOf(settlement);
      }
      if (wasFull && !this.isFull()) this.deps.roomAgain();
      this.deps.written?.();
    }
  }

  private async settle(batch: Settlement[], onTold: (count: number) => void): Promise<SettleVerdict[] | undefined> {
    while (!this.closed) {
      try {
        return await this.deps.store.settle(batch, onTold);
      } catch (error) {
        if (!(error instanceof PlatformError && error.code === 'STORE_UNAVAILABLE')) throw error;
        await new Promise<void>((resolve) => this.deps.clock.setTimeout(resolve, RETRY_DELAY_MS));
      }
    }
    return undefined;
  }

  /** @param allTold whether each has been heard of by who waits for it since its submission */
  private conclude(batch: TracedSettlement[], verdicts: SettleVerdict[], allTold: boolean): void {
    const { counts, clock } = this.deps;
    counts.batches.settle.observe(batch.length);
    const now = clock.now();
    const settled: SettledTask[] = [];
    const awaited: EndedTask[] = [];
    let requeued = 0;
    const refused = { stale: 0, duplicate: 0 };
    batch.forEach((settlement, index) => {
      const answer = verdicts[index] as SettleVerdict;
      const verdict = typeof answer === 'object' ? answer.state : answer;
      if (typeof answer === 'object') awaited.push({ taskId: settlement.taskId, ...answer });
      this.deps.acknowledge(settlement.worker, settlement);
      if (verdict === 'stale' || verdict === 'duplicate') {
        this.stats[verdict]++;
        refused[verdict]++;
        return;
      }
      this.log(settlement, verdict);
      const { trace } = settlement;
      if (trace) this.deps.tracer?.export(attemptSpans(settlement, trace, verdict, clock.wallMs()));
      if (settlement.submittedAtMs !== undefined && isTerminal(verdict))
        counts.endToEnd.observe((now - settlement.submittedAtMs) / 1_000);
      if (settlement.startedAtMs > 0) counts.runTime.observe(settlement.runTimeUs / 1e6);
      if (verdict === 'failed' && settlement.failure) counts.failed(settlement.failure.type);
      if (isTerminal(verdict)) {
        if (verdict !== 'cancelled') {
          this.stats[verdict]++;
          const { functionId, runTimeUs } = settlement;
          if (functionId !== undefined) this.deps.ended?.(functionId, verdict, runTimeUs);
        }
        settled.push(settledTask(settlement, verdict));
      } else {
        this.stats.requeued++;
        requeued++;
      }
    });
    if (awaited.length > 0) this.deps.awaited?.(awaited);
    this.announcer.announce(settled, allTold);
    if (requeued > 0) this.deps.requeued();
    if (refused.stale + refused.duplicate === 0) return;
    counts.staleResults += refused.stale;
    counts.duplicateResults += refused.duplicate;
    this.deps.refused?.(refused);
  }

  private log({ taskId, event, worker, failure, runTimeUs }: Settlement, to: TaskState): void {
    const reason = failure && `${failure.type}: ${failure.signal ?? failure.exception ?? ''}`;
    const made = event === 'task.raised' && to === 'retrying' ? 'task.retried' : event;
    this.deps.transition('task', taskId, 'running', made, to, { worker, runTimeUs, reason });
    if (nextTaskState('running', { type: made, attemptsLeft: to === 'queued' }) !== to) {
      this.deps.onError(
        new Error(`Redis moved task ${taskId} to ${to} on ${made}, which the task machine does not have`),
      );
    }
  }
}

const bytesOf = ({ payload, output }: Settlement): number => payload.length + output.length;
const attemptKey = ({ taskId, fence }: TaskRef): string => `${taskId} ${fence}`;

function settledTask(
  { taskId, payload, failure }: Settlement,
  state: 'completed' | 'failed' | 'cancelled',
): SettledTask {
  const small = payload.length + (failure?.traceback?.length ?? 0) <= MAX_EVENT_PAYLOAD_BYTES;
  // An interrupted task that failed for good has its failure completed by Redis (how each attempt ended): read from there.
  const complete = small && (failure === undefined || payload.length > 0);
  const task: SettledTask = { taskId, state };
  if (complete) task.payload = payload;
  if (complete && failure) task.failure = failure;
  return task;
}

const ENDS = { completed: 'task.succeeded', failed: 'task.raised', interrupted: 'task.interrupted' } as const;

/** The settlement of what a worker has reported; with what is known here of the attempt. */
export function reported(
  result: TaskResult,
  outcome: keyof typeof ENDS,
  worker: string,
  known: Pick<InFlight, 'functionId' | 'submittedAtMs' | 'trace'> | undefined,
): TracedSettlement {
  // Field by field: objects that are spread get a shape of their own each time something is optional, and cost a hundred times as much.
  const { taskId, fence, payload, failure, startedAtMs, runTimeUs, peakMemoryKib, output, outputTruncated } = result;
  const settlement: TracedSettlement = {
    taskId,
    fence,
    event: ENDS[outcome],
    worker,
    payload,
    startedAtMs,
    runTimeUs,
    peakMemoryKib,
    output,
    outputTruncated,
    functionId: known?.functionId,
    submittedAtMs: known?.submittedAtMs,
  };
  if (known?.trace) settlement.trace = known.trace;
  if (failure) settlement.failure = failure;
  return settlement;
}

/** The failure of an attempt whose worker is gone. */
export const workerLost = (worker: string): Failure => ({
  type: 'WorkerFailure',
  message: `worker ${worker} was lost while it had the task`,
});

/** The settlement of an attempt that no worker has reported on. */
export function unstarted(
  task: TaskRef,
  event: Settlement['event'],
  worker: string,
  failure: Failure,
  lostBy?: string,
): Settlement {
  return { ...emptyResult(task, 'interrupted'), failure, event, worker, ...(lostBy !== undefined && { lostBy }) };
}
