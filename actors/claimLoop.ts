import { type BatchLimits, inBatches, MAX_GATHERED_BYTES } from '../bus/batches.js';
import type { Bus } from '../bus/bus.js';
import type { DispatcherMessage, TaskRef, WorkerMessage } from '../bus/messages.js';
import type { ProcessMetrics } from '../bus/metrics.js';
import { argumentBytes, orderBytes } from '../bus/orderBytes.js';
import type { Claim, ClaimedTask, TaskStore } from '../bus/taskStore.js';
import type { Tracer } from '../bus/tracing.js';
import type { TransitionLog } from '../bus/transitionLog.js';
import { toldOfTrace, traceAttempts } from './attemptTrace.js';
import type { Cancellations } from './cancellations.js';
import type { Clock } from './clock.js';
import type { FunctionCache } from './functionCache.js';
import { LostClaims } from './lostClaims.js';
import type { OutputFollowers } from './outputFollowers.js';
import { byOffer, creditOfAll, haveCreditLeft, offersOf, type WorkersOffer } from './offers.js';
import { place, prefetchPerSlot } from './placement.js';
import { Rebalance } from './rebalance.js';
import type { RunTimes } from './runTimes.js';
import { StandingClaims } from './standingClaims.js';
import { withInputs, type WithInputs, withoutFunction } from './taskInputs.js';
import type { InFlight, WorkerConnection } from './workerConnection.js';
import type { WorkerTable } from './workerTable.js';

export interface ClaimLoopDeps {
  store: Pick<TaskStore, 'claim' | 'standBy' | 'withdraw' | 'findClaims' | 'readOutcomes'>;
  workers: Bus<WorkerMessage, DispatcherMessage>;
  clock: Clock;
  transition: TransitionLog;
  counts: ProcessMetrics;
  tracer?: Tracer | undefined;
  nonce: () => string;
  functions: FunctionCache;
  runTimes: RunTimes;
  /** False while too many results wait for Redis. */
  mayClaim: () => boolean;
  cancellations: Pick<Cancellations, 'without'>;
  followers: Pick<OutputFollowers, 'onGiven'>;
  /** Gives tasks back to the queue that were claimed and cannot be sent. */
  release: (worker: WorkerConnection | undefined, tasks: TaskRef[]) => void;
  /** These cannot be run by anybody. */
  fail: (failed: WithInputs['failed']) => void;
  onError: (error: unknown) => void;
}

type Offered = readonly WorkersOffer<WorkerConnection>[];

interface Made {
  offers: Offered;
  /** How many it may still get. */
  limit: number;
}

/** What a claim has got for those whose offers it was made of. */
interface Given {
  claim: Claim;
  offers: Offered;
}

/** Arguments can be large: one message must not become more than a wire takes. */
const RUN_LIMITS: BatchLimits<ClaimedTask> = {
  maxItems: Infinity,
  maxBytes: MAX_GATHERED_BYTES,
  sizeOf: orderBytes,
};
/** Most tasks of one claim: what Redis hands over in well under a millisecond. */
const MAX_CLAIM = 256;
/** When the next claim is left standing after something was handed over, unless there is a pause before. */
const STAND_AGAIN_AFTER_MS = 5;

/**
 * Brings tasks from the queue to the workers: claims as many as the workers have credit for, places them, sends them.
 *
 * Idle until woken (a nudge, a result, a new worker, the poll timer); then one claim follows another while the queue gives as much
 * as was asked for. Only one claim is under way at a time; a wake during it leads to one more. The last one stands where the store can do that:
 * then new tasks come by themselves.
 */
export class ClaimLoop {
  /** Closed; the store hands nothing over any more, and what it did is known. */
  hasLeft = false;
  private claiming = false;
  private closed = false;
  private again = false;
  /** What claims have got that stood, not yet given to workers. */
  private readonly handedOver: Given[] = [];
  /** The last claim got less than it asked for. */
  private foundEmpty = false;
  /** The last claim left tasks of tenants that run as many as they may: ends of theirs may have been written since. */
  private holdsBack = false;
  /** How many times results have been written. */
  private writes = 0;
  private readonly rebalance: Rebalance<WorkerConnection>;
  private standAgainTimer: unknown;
  private readonly lostClaims: LostClaims;
  private readonly standing: StandingClaims<Made>;

  constructor(
    private readonly options: { id: string; leaseMs: number; standMs: number },
    private readonly table: WorkerTable,
    private readonly deps: ClaimLoopDeps,
  ) {
    this.rebalance = new Rebalance(deps.clock, {
      workers: () => table.available(),
      takeBack: ({ worker, ...what }) => deps.workers.send(worker.address, { type: 'takeBack', ...what }),
    });
    // A claim of which nothing was heard may stand for a while before it has leases.
    this.lostClaims = new LostClaims(options.leaseMs + options.standMs, {
      ...deps,
      release: (tasks) => deps.release(undefined, tasks),
    });
    this.standing = new StandingClaims(options.standMs, deps.clock, (nonce) => this.lostClaims.add(nonce));
  }

  start(): void {
    this.deps.store.standBy(this.options.id, {
      handedOver: (nonce, claim, standsOn) => {
        const made = this.standing.onHandedOver(nonce, standsOn);
        if (!made) return; // It is being looked for already.
        this.handedOver.push({ claim, offers: made.offers });
        made.limit -= claim.claimed.length;
        if (made.limit <= 0) this.foundEmpty = false;
        if (!this.claiming) void this.run();
      },
      cutOff: () => this.standing.onCutOff(),
    });
    this.wake();
  }

  /** Somebody has news: a claim may find something. */
  wake(): void {
    if (this.hasLeft) return;
    this.again = true;
    this.foundEmpty = false;
    this.clearStandAgain();
    if (!this.claiming) void this.run();
  }

  /** Claims no more; what still comes is given back, until it `hasLeft`. While the store is away each wake tries again. */
  close(): void {
    this.closed = true;
    this.wake();
  }

  get isClaiming(): boolean {
    return this.claiming;
  }

  /** Workers can be given more: worth a claim unless the last one found the queue empty, and nothing was heard since. */
  moreRoom(): void {
    if (!this.foundEmpty) this.wake();
  }

  /** Results have been written: nothing is urgent now, time to leave a claim standing again, and tenants may run more. */
  pause(): void {
    this.writes++;
    if (this.standAgainTimer !== undefined || this.holdsBack) this.wake();
  }

  /** Bodies that a worker has asked for. */
  async sendFunctions(worker: WorkerConnection, functionIds: string[]): Promise<void> {
    try {
      const bodies = await this.deps.functions.load(functionIds);
      const functions = [...bodies].map(([functionId, body]) => ({ functionId, body }));
      this.deps.workers.send(worker.address, { type: 'functions', functions });
    } catch (error) {
      this.deps.onError(error); // The worker asks again.
    }
  }

  private async run(): Promise<void> {
    this.claiming = true;
    try {
      while (this.again || this.handedOver.length > 0) {
        for (const given of this.handedOver.splice(0)) await this.take(given);
        if (!this.again) {
          if (!this.standing.isStanding) this.standAgainLater();
          continue;
        }
        this.again = false;
        if (this.closed && !this.hasLeft) await this.leave();
        if (this.hasLeft) continue;
        this.standing.expire();
        if (this.lostClaims.due) await this.lostClaims.giveBack();
        const prefetch = prefetchPerSlot(this.deps.runTimes.recent);
        const { offers, bytes, isEverybody } = offersOf(this.table.available(), prefetch);
        const limit = Math.min(creditOfAll(offers), MAX_CLAIM);
        if (limit === 0 || !this.deps.mayClaim()) {
          if (this.standing.isStanding) this.standing.onWithdrawn(await this.deps.store.withdraw(this.options.id));
          continue;
        }
        const { writes } = this;
        const claim = await this.claim(limit, bytes > 0 ? bytes : undefined, offers);
        const { claimed } = claim;
        await this.take({ claim, offers });
        // It may have ended because of the arguments' bytes, or of cancelled tasks, not because the queue was empty.
        const cutShort = claim.isCut === true || (bytes > 0 && argumentBytes(claimed) >= bytes);
        this.foundEmpty = claimed.length < limit && !cutShort && isEverybody && haveCreditLeft(offers, claimed);
        this.holdsBack = claim.holdsBack === true;
        const wasWritten = this.holdsBack && writes !== this.writes; // Perhaps after the claim, and heard of before its answer.
        if (claimed.length === limit || cutShort || wasWritten) this.again = true;
        else this.rebalance.schedule();
      }
    } catch (error) {
      this.deps.onError(error); // The store is away; the poll timer tries again.
    } finally {
      this.claiming = false;
    }
  }

  private async claim(limit: number, maxBytes: number | undefined, offers: Offered): Promise<Claim> {
    const nonce = this.deps.nonce();
    this.standing.expect(nonce, { offers, limit });
    try {
      const claim = await this.deps.store.claim(this.options.id, limit, nonce, maxBytes, offers, this.options.standMs);
      this.standing.onClaimed(nonce, claim);
      return claim;
    } catch (error) {
      this.lostClaims.add(nonce);
      this.standing.giveUp(nonce);
      throw error;
    }
  }

  private async leave(): Promise<void> {
    this.standing.onWithdrawn(await this.deps.store.withdraw(this.options.id));
    // What it was handed last may be on its way still: it is not waited for, but looked for.
    this.standing.onCutOff();
    if (this.lostClaims.due) await this.lostClaims.giveBack();
    this.hasLeft = true;
  }

  /** A claim at once would take the processors from the task that was handed over: it is left to the time when that is over. */
  private standAgainLater(): void {
    this.standAgainTimer ??= this.deps.clock.setTimeout(() => this.wake(), STAND_AGAIN_AFTER_MS);
  }

  private clearStandAgain(): void {
    this.deps.clock.clearTimeout(this.standAgainTimer);
    this.standAgainTimer = undefined;
  }

  private async take({ claim: { claimed, promoted }, offers }: Given): Promise<void> {
    for (const { taskId, from } of promoted) this.deps.transition('task', taskId, from, 'task.due', 'queued');
    if (claimed.length > 0) this.deps.counts.batches.claim.observe(claimed.length);
    if (this.closed) this.deps.release(undefined, claimed);
    else if (claimed.length > 0) await this.give(claimed, offers);
  }

  private async give(tasks: ClaimedTask[], offers: Offered): Promise<void> {
    const prefetch = prefetchPerSlot(this.deps.runTimes.recent);
    const ready = tasks.some(({ dependsOn }) => dependsOn) ? await this.fetchInputs(tasks) : tasks;
    for (const { tasks: own, workers } of byOffer(ready, offers)) {
      const available = workers.filter((worker) => worker.available);
      const { placed, unplaced } = place(own, available, prefetch);
      // Workers left between claim and placement.
      if (unplaced.length > 0) this.deps.release(undefined, unplaced);
      for (const [worker, some] of placed) {
        for (const batch of inBatches(some, RUN_LIMITS)) await this.sendRun(worker, batch);
      }
    }
  }

  private async fetchInputs(tasks: ClaimedTask[]): Promise<ClaimedTask[]> {
    try {
      const { ready, failed, later } = await withInputs(tasks, this.deps.store);
      if (failed.length > 0) this.deps.fail(failed);
      if (later.length > 0) this.deps.release(undefined, later);
      return ready;
    } catch (error) {
      this.deps.onError(error);
      this.deps.release(undefined, tasks);
      return [];
    }
  }

  private async sendRun(worker: WorkerConnection, tasks: ClaimedTask[]): Promise<void> {
    const unknown = [...new Set(tasks.map(({ functionId }) => functionId))].filter((id) => !worker.hasFunction(id));
    let bodies = new Map<string, Buffer>();
    try {
      if (unknown.length > 0) bodies = await this.deps.functions.load(unknown);
    } catch (error) {
      this.deps.onError(error);
      this.deps.release(worker, tasks);
      return;
    }
    if (!worker.available) {
      this.deps.release(worker, tasks); // Lost, or draining, while the functions were read.
      return;
    }
    worker.learnFunctions(bodies.keys());
    // Only what the store was asked for can be missing there. What the worker had before it reconnected meanwhile it asks for itself.
    const gone = new Set(unknown.filter((functionId) => !bodies.has(functionId)));
    const present = tasks.filter(({ functionId }) => !gone.has(functionId));
    if (present.length < tasks.length)
      this.deps.fail(tasks.filter(({ functionId }) => gone.has(functionId)).map(withoutFunction));

    const orders = this.deps.cancellations.without(present);
    const { counts } = this.deps;
    counts.batches.run.observe(orders.length);
    const now = this.deps.clock.now();
    const sequence = ++worker.runSequence;
    worker.lastRunSentAtMs = now;
    const functions = [...bodies].map(([functionId, body]) => ({ functionId, body }));
    const traces = this.deps.tracer && traceAttempts(orders, this.deps.clock.wallMs());
    const sent = traces ? orders.map((order) => toldOfTrace(order, traces.get(order.taskId))) : orders;
    this.deps.workers.send(worker.address, { type: 'run', sequence, functions, orders: sent });
    for (const order of orders) {
      const { taskId, fence, functionId, attempt, requirement = '' } = order;
      const submittedAtMs = order.waitedMs === undefined ? undefined : now - order.waitedMs;
      if (order.waitedMs !== undefined && attempt === 1) counts.queueWait.observe(order.waitedMs / 1_000);
      const bytes = orderBytes(order);
      const task: InFlight = {
        taskId,
        fence,
        functionId,
        attempt,
        requirement,
        bytes,
        submittedAtMs,
        sequence,
        sentAtMs: now,
        renewedAtMs: now,
      };
      const trace = traces?.get(taskId);
      if (trace) task.trace = trace;
      worker.add(task);
      this.deps.transition('task', taskId, 'queued', 'task.claimed', 'running', { worker: worker.name, attempt });
    }
    this.deps.followers.onGiven(worker, orders);
  }
}
