import type { ClaimedTask } from '../bus/taskStore.js';
import { BestFirst } from './bestFirst.js';

/** A worker, as far as placement is concerned. */
export interface Candidate {
  readonly slots: number;
  /** Tasks it has, running or waiting. */
  readonly inFlight: number;
  hasFunction(functionId: string): boolean;
}

/** Backlog that hides the way of a task from Redis to the worker, per slot. Measured: the way takes 1-2 ms on an idle platform. */
const BACKLOG_MS_PER_SLOT = 20;
/** From this run time on the way hardly matters, and a task had better wait in the queue, where any worker can get it. */
const NO_PREFETCH_ABOVE_MS = 50;
const MAX_PREFETCH_PER_SLOT = 128;

/** How many tasks a worker may have beyond those it runs, per slot, when a task takes `runTimeMs` (undefined: not known yet). */
export function prefetchPerSlot(runTimeMs: number | undefined): number {
  if (runTimeMs === undefined || runTimeMs > NO_PREFETCH_ABOVE_MS) return 0;
  return Math.min(MAX_PREFETCH_PER_SLOT, Math.ceil(BACKLOG_MS_PER_SLOT / Math.max(runTimeMs, 0.01)));
}

/** Tasks that a worker can still be given. */
export function creditOf(worker: Candidate, prefetch: number): number {
  return Math.max(0, worker.slots * (1 + prefetch) - worker.inFlight);
}

/**
 * Chooses a worker for each task: one with a free slot before one without, then the least loaded for its size, then one that
 * holds the function warm. `tasks` must not exceed the workers' credit together; what finds no worker is returned as unplaced.
 */
export function place<W extends Candidate>(
  tasks: readonly ClaimedTask[],
  workers: readonly W[],
  prefetch: number,
): { placed: Map<W, ClaimedTask[]>; unplaced: ClaimedTask[] } {
  const open = workers
    .filter((worker) => creditOf(worker, prefetch) > 0)
    .map((worker) => ({ worker, inFlight: worker.inFlight, tasks: [] as ClaimedTask[] }));
  type Open = (typeof open)[number];
  const choices = new Map<string, BestFirst<Open>>();
  const choiceFor = (functionId: string): BestFirst<Open> => {
    const known = choices.get(functionId);
    if (known) return known;
    const choice = new BestFirst(open, ({ worker, inFlight }) => {
      const { slots } = worker;
      if (inFlight >= slots * (1 + prefetch)) return -Infinity;
      // Free slots count above all; the warm bonus decides between workers that are loaded alike.
      const free = slots - inFlight;
      return (free > 0 ? free : free / slots - 1) + (worker.hasFunction(functionId) ? 0.5 : 0);
    });
    choices.set(functionId, choice);
    return choice;
  };
  const unplaced: ClaimedTask[] = [];
  for (const task of tasks) {
    const best = choiceFor(task.functionId).best();
    if (best) {
      best.tasks.push(task);
      best.inFlight++;
    } else {
      unplaced.push(task);
    }
  }
  return {
    placed: new Map(open.filter(({ tasks: own }) => own.length > 0).map(({ worker, tasks: own }) => [worker, own])),
    unplaced,
  };
}
