/** Which process gets the next order: a pure function of what is measured. */

/** Longest work that may wait behind another order in one process, by measurement, us. */
const BACKLOG_LIMIT_US = 4_000;
const DEPTH_LIMIT = 32;
/** A pipe holds about this much; more would only wait in this process's memory. */
const BACKLOG_LIMIT_BYTES = 256 * 1024;
/** Of functions up to here several are sent ahead: the way to the process would cost more than the call. */
const SHORT_FUNCTION_US = 1_000;
/**
 * Up to here one order is laid ready behind another, so that the process need not wait for us between two. Longer ones are sent one
 * at a time, since an order behind one might run elsewhere meanwhile.
 */
export const FORESEEABLE_FUNCTION_US = 20_000;

/** What the choice observes of a ready process. */
export interface Slot {
  /** Orders sent and not answered. */
  readonly outstandingCount: number;
  readonly outstandingBytes: number;
  /** Expected run time of those, us; infinite when one of them cannot be foreseen. */
  readonly backlogUs: number;
  /** Takes no more for the time being: its tasks were taken back, or its pipe is full. */
  readonly stalled: boolean;
}

export interface Demand {
  /** Measured run time of the function, us; undefined before its first result. */
  expectedUs: number | undefined;
  bytes: number;
}

/** An idle slot, else for a function whose end can be foreseen the one with the least work before it that has room, else none: wait. */
export function chooseSlot<S extends Slot>(slots: readonly S[], demand: Demand): S | undefined {
  let best: S | undefined;
  for (const slot of slots) {
    if (slot.outstandingCount === 0) return slot;
    if (hasRoom(slot, demand) && (best === undefined || slot.backlogUs < best.backlogUs)) best = slot;
  }
  return best;
}

function hasRoom(slot: Slot, { expectedUs, bytes }: Demand): boolean {
  if (expectedUs === undefined || expectedUs >= FORESEEABLE_FUNCTION_US || slot.stalled) return false;
  if (slot.outstandingBytes + bytes > BACKLOG_LIMIT_BYTES) return false;
  if (expectedUs >= SHORT_FUNCTION_US) return slot.outstandingCount === 1 && slot.backlogUs < FORESEEABLE_FUNCTION_US;
  return slot.outstandingCount < DEPTH_LIMIT && slot.backlogUs + expectedUs <= BACKLOG_LIMIT_US;
}
