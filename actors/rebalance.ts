import { canRun } from '../bus/requirement.js';
import type { Clock } from './clock.js';
import type { Offering } from './offers.js';

/** A worker, as far as balance is concerned. */
export interface Balanced extends Offering {
  readonly inFlightTasks: ReadonlyMap<string, { taskId: string; requirement: string | undefined }>;
  readonly lastRunSentAtMs: number;
}

/** What a busy worker shall give back, so that others can run it at once: up to `limit` of its tasks, or of those in `among`. */
export interface TakeBack<W> {
  worker: W;
  limit: number;
  among?: string[];
}

/** A waiting task is taken back from a worker for a free slot elsewhere when it has waited so long. */
const TAKE_BACK_AFTER_MS = 20;

/** While tasks wait on a busy worker and another has a free slot, takes them back a little at a time. */
export class Rebalance<W extends Balanced> {
  private timer: unknown;

  constructor(
    private readonly clock: Clock,
    private readonly deps: { workers: () => Iterable<W>; takeBack: (what: TakeBack<W>) => void },
  ) {}

  schedule(): void {
    if (this.timer !== undefined || this.wanted(Infinity).length === 0) return;
    this.timer = this.clock.setTimeout(() => {
      this.timer = undefined;
      for (const what of this.wanted(this.clock.now() - TAKE_BACK_AFTER_MS)) this.deps.takeBack(what);
      this.schedule();
    }, TAKE_BACK_AFTER_MS);
  }

  private wanted(sentBefore: number): TakeBack<W>[] {
    return takeBacks([...this.deps.workers()], sentBefore);
  }
}

/**
 * Which tasks that wait on busy workers could start at once on others with free slots. What the others cannot run stays where it
 * is: it would only come back.
 * @param sentBefore no worker is asked to which something was sent after this moment
 */
export function takeBacks<W extends Balanced>(workers: readonly W[], sentBefore: number): TakeBack<W>[] {
  const free = new Map<string, { example: W; slots: number }>();
  for (const worker of workers) {
    const slots = worker.slots - worker.inFlight;
    if (slots <= 0) continue;
    const same = free.get(worker.kind);
    if (same) same.slots += slots;
    else free.set(worker.kind, { example: worker, slots });
  }
  if (free.size === 0) return [];
  const found: TakeBack<W>[] = [];
  for (const worker of workers) {
    let waiting = worker.inFlight - worker.slots;
    if (waiting <= 0 || worker.lastRunSentAtMs > sentBefore) continue;
    for (const helper of free.values()) {
      const { among, most } = movable(worker, helper.example);
      const limit = Math.min(waiting, helper.slots, most);
      if (limit <= 0) continue;
      found.push({ worker, limit, ...(among && { among }) });
      helper.slots -= limit;
      waiting -= limit;
    }
  }
  return found;
}

/** The tasks of a worker that a worker of another kind can run; all of them when it is of the same kind. */
function movable(from: Balanced, to: Balanced): { among?: string[]; most: number } {
  if (from.kind === to.kind) return { most: Infinity };
  const among: string[] = [];
  for (const { taskId, requirement } of from.inFlightTasks.values()) {
    if (requirement !== undefined && canRun(to.capabilities, requirement)) among.push(taskId);
  }
  return among.length === from.inFlightTasks.size ? { most: Infinity } : { among, most: among.length };
}
