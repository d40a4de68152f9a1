import type { Frame, HistoryPoint } from './frame.js';

const SPAN_MS = 10 * 60_000;
/** Points of the charts are so far apart; farther when nobody looks. */
const APART_MS = 1_000;

/** What the charts show: the last ten minutes, at most 600 points. */
export class History {
  private readonly kept: HistoryPoint[] = [];

  get points(): readonly HistoryPoint[] {
    return this.kept;
  }

  /** Notes how things stand; answers the point, or nothing when the last one is too fresh. */
  note(frame: Frame): HistoryPoint | undefined {
    const last = this.kept.at(-1);
    // A little less, so that a timer that is early does not skip one.
    if (last && frame.atMs - last[0] < APART_MS * 0.9) return undefined;
    const { rates, latency, tasks, slots } = frame;
    const point: HistoryPoint = [
      ...([frame.atMs, rounded(rates.completed), rounded(rates.failed)] as const),
      ...([latency && rounded(latency.p50Ms), latency && rounded(latency.p95Ms)] as const),
      ...([tasks.queued, tasks.running, slots.busy, slots.total] as const),
    ];
    this.kept.push(point);
    while ((this.kept[0]?.[0] ?? frame.atMs) < frame.atMs - SPAN_MS) this.kept.shift();
    return point;
  }
}

/** Three digits: charts show no more, and a page begins with hundreds of them. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
