/** Bytes of what one message or frame gathers: far below what a wire takes at once. A single larger item goes alone. */
export const MAX_GATHERED_BYTES = 8 * 1024 * 1024;

/**
 * Bytes of values that one step of the store writes. Redis makes its append-only file's next piece of all of it, in a buffer that it copies
 * as it grows: with 16 MiB in a step, a task of 1 MiB costs it 600 page faults more than with 2 (measured).
 */
export const MAX_STEP_BYTES = 2 * 1024 * 1024;

export interface BatchLimits<T> {
  /** Most items of one batch. */
  maxItems: number;
  /** Most bytes of one batch, by `sizeOf`; a single larger item goes alone. */
  maxBytes?: number;
  sizeOf?: (item: T) => number;
}

/** How many of the items, from the first, make up the next batch; at least one. */
export function batchLength<T>(items: readonly T[], { maxItems, maxBytes = Infinity, sizeOf }: BatchLimits<T>): number {
  const most = Math.min(items.length, maxItems);
  if (!sizeOf || maxBytes === Infinity) return most;
  let bytes = 0;
  for (let count = 0; count < most; count++) {
    bytes += sizeOf(items[count] as T);
    if (bytes > maxBytes && count > 0) return count;
  }
  return most;
}

/** Cuts items into batches, in order. */
export function* inBatches<T>(items: readonly T[], limits: BatchLimits<T>): Generator<T[]> {
  for (let rest = items.slice(); rest.length > 0;) yield rest.splice(0, batchLength(rest, limits));
}
