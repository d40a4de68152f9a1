import { setImmediate as othersTurn } from 'node:timers/promises';
import type { OutputPiece } from '../../bus/outputRecord.js';
import { lineFields } from './logFormats.js';
import { type LogLine, LogLines, slicesOf } from './logLines.js';

/** Lines of one answer: each costs about 70 bytes beside its text, so that empty ones make much of little. */
export const MAX_JSON_LINES = 100_000;

/** The first lines as JSON objects, separated by commas. Made in slices: a long log does not keep other requests waiting. */
export async function jsonOfLines(pieces: readonly OutputPiece[]): Promise<{ json: string; areAll: boolean }> {
  const lines = new LogLines();
  const objects: string[] = [];
  const take = (finished: readonly LogLine[]): boolean => {
    const some = finished.slice(0, MAX_JSON_LINES - objects.length);
    for (const line of some) objects.push(JSON.stringify(lineFields(line)));
    return some.length === finished.length;
  };
  for (const slice of slicesOf(pieces)) {
    if (!take(lines.push(slice))) return { json: objects.join(), areAll: false };
    await othersTurn();
  }
  const areAll = take(lines.finish());
  return { json: objects.join(), areAll };
}
