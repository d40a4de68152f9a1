import { PlatformError } from '../errors.js';
import type { IndexName, Place } from './taskIndex.js';

/** A place in a list that is ordered by a time and, at the same time, by id. */
export interface TimedId {
  ms: number;
  id: string;
}

export const placeCursor = (index: IndexName, { entryMs, entrySequence, shard, position }: Place): string =>
  `${index}-${entryMs}-${entrySequence}-${shard}-${position}`;

export const timedCursor = (list: string, { ms, id }: TimedId): string => `${list}-${ms}-${id}`;

/** @throws PlatformError VALIDATION_FAILED when it is not of this index */
export function parsePlace(index: IndexName, cursor: string): Place {
  const match = /^(\w+)-(\d{1,15})-(\d{1,15})-(\d{1,4})-(\d{1,6})$/.exec(cursor);
  if (match?.[1] !== index) throw notGiven();
  const [entryMs = 0, entrySequence = 0, shard = 0, position = 0] = match.slice(2).map(Number);
  return { entryMs, entrySequence, shard, position };
}

/** @throws PlatformError VALIDATION_FAILED when it is not of this list */
export function parseTimed(list: string, cursor: string): TimedId {
  const match = /^(\w+)-(\d{1,15})-([\da-f-]{36})$/.exec(cursor);
  if (match?.[1] !== list) throw notGiven();
  return { ms: Number(match[2]), id: String(match[3]) };
}

/** Newest first; at the same time by id. */
export const byTimeThenId = (a: TimedId, b: TimedId): number => b.ms - a.ms || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

function notGiven(): PlatformError {
  return new PlatformError(
    'VALIDATION_FAILED',
    'The `cursor` is not one that this list, with these filters, has given.',
  );
}
