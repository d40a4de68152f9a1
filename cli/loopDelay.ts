/**
 * How late the event loop is, is measured by a timer that counts its own intervals. prom-client's is one of 10 ms, and what everybody knows of
 * the metric is that interval and how late it was. Ours is slower: a hundred times a second were most of what an idle process needed.
 */
export const LOOP_DELAY_INTERVAL_MS = 100;
const USUAL_INTERVAL_MS = 10;

/** @param measuredMs by a timer of `LOOP_DELAY_INTERVAL_MS` @returns what one of the usual interval would have measured, seconds */
export const usualLoopDelay = (measuredMs: number): number =>
  Math.max(0, measuredMs - LOOP_DELAY_INTERVAL_MS + USUAL_INTERVAL_MS) / 1_000;
