import type { Capabilities, Offer } from '../bus/requirement.js';
import type { ClaimedTask } from '../bus/taskStore.js';
import { type Candidate, creditOf } from './placement.js';

/**
 * Arguments that may be on their way to one worker and wait there, together. What is larger still travels, one task for each free slot.
 * Bounds the memory of workers and, times its workers, of this process.
 */
const MAX_WORKER_BYTES = 16 * 1024 * 1024;

/** A worker, as far as offers are concerned. */
export interface Offering extends Candidate {
  /** Arguments of the tasks it has. */
  readonly inFlightBytes: number;
  readonly capabilities: Capabilities;
  /** The same for workers that can run the same tasks. */
  readonly kind: string;
}

/** The workers of one kind, and what they can be given together. */
export interface WorkersOffer<W> extends Offer {
  readonly workers: W[];
}

export interface Offers<W> {
  offers: WorkersOffer<W>[];
  /** Of arguments, that the workers can be given together. */
  bytes: number;
  /** Every kind of worker there is has an offer. */
  isEverybody: boolean;
}

/**
 * What the workers can be given, by kind. Nothing for a kind while each of its workers has more than half of what it may have: fewer
 * and larger claims cost a fraction per task.
 */
export function offersOf<W extends Offering>(workers: Iterable<W>, prefetch: number): Offers<W> {
  const kinds = new Map<string, Kind<W>>();
  let bytes = 0;
  for (const worker of workers) {
    let kind = kinds.get(worker.kind);
    if (!kind) {
      kind = { capabilities: worker.capabilities, credit: 0, workers: [], someNeed: false, freeSlots: 0, bytes: 0 };
      kinds.set(worker.kind, kind);
    }
    const own = creditOf(worker, prefetch);
    const room = Math.max(0, MAX_WORKER_BYTES - worker.inFlightBytes);
    kind.credit += own;
    kind.workers.push(worker);
    kind.freeSlots += Math.max(0, worker.slots - worker.inFlight);
    kind.bytes += room;
    kind.someNeed ||= own > 0 && (worker.inFlight < worker.slots || own * 2 >= worker.slots * (1 + prefetch));
    bytes += room;
  }
  const offers: WorkersOffer<W>[] = [];
  for (const { capabilities, credit, workers: own, ...kind } of kinds.values()) {
    // Without room for more a free slot still gets its task, however large.
    const most = kind.bytes > 0 ? credit : Math.min(credit, kind.freeSlots);
    if (kind.someNeed && most > 0) offers.push({ capabilities, credit: most, workers: own });
  }
  return { offers, bytes, isEverybody: offers.length === kinds.size };
}

interface Kind<W> extends WorkersOffer<W> {
  credit: number;
  someNeed: boolean;
  freeSlots: number;
  bytes: number;
}

/** Whether each offer can still be given something: then nothing waits that it could run. */
export function haveCreditLeft(offers: readonly Offer[], claimed: readonly ClaimedTask[]): boolean {
  if (offers.length === 1) return claimed.length < creditOfAll(offers);
  return offers.every(({ credit }, index) => claimed.filter(({ offer = 0 }) => offer === index).length < credit);
}

export const creditOfAll = (offers: readonly Offer[]): number => offers.reduce((sum, { credit }) => sum + credit, 0);

/** The claimed tasks beside the workers they were claimed for. */
export function byOffer<W>(
  tasks: ClaimedTask[],
  offers: readonly WorkersOffer<W>[],
): { tasks: ClaimedTask[]; workers: W[] }[] {
  if (offers.length <= 1) return offers.map(({ workers }) => ({ tasks, workers }));
  return offers
    .map(({ workers }, index) => ({ workers, tasks: tasks.filter(({ offer = 0 }) => offer === index) }))
    .filter(({ tasks: own }) => own.length > 0);
}
