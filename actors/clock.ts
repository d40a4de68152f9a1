/** Time as actors see it; passed in, so that the simulator can hold it. */
export interface Clock {
  /** Monotonic, ms: for durations and deadlines within the process. */
  now(): number;
  /** Wall clock, ms since the epoch: only for what people read. */
  wallMs(): number;
  setTimeout(action: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  setTimeout: (action, delayMs) => setTimeout(action, delayMs),
  clearTimeout: (timer) => {
    clearTimeout(timer as NodeJS.Timeout);
  },
};

/** What is done at one interval, by one timer. */
interface Round {
  readonly actions: Map<object, { action: () => void; notBeforeMs: number }>;
  timer: unknown;
}

/** By clock, which is by process, and interval. */
const rounds = new WeakMap<Clock, Map<number, Round>>();

/**
 * Calls `action` every `intervalMs`, the next time counted from the end of the last; returns what stops it. All that a process does at the
 * same interval it does in one go: waking it up costs more than most of what it then does. So the first time comes after half an
 * interval to one and a half.
 */
export function every(clock: Clock, intervalMs: number, action: () => void): () => void {
  const ofClock = rounds.get(clock) ?? new Map<number, Round>();
  rounds.set(clock, ofClock);
  const round: Round = ofClock.get(intervalMs) ?? { actions: new Map(), timer: undefined };
  ofClock.set(intervalMs, round);
  const key = {};
  round.actions.set(key, { action, notBeforeMs: clock.now() + intervalMs / 2 });
  if (round.actions.size === 1) schedule();

  function schedule(): void {
    round.timer = clock.setTimeout(go, intervalMs);
  }
  function go(): void {
    const now = clock.now();
    for (const [one, { action: act, notBeforeMs }] of [...round.actions]) {
      if (round.actions.has(one) && now >= notBeforeMs) act();
    }
    if (round.actions.size > 0) schedule();
  }
  return () => {
    if (!round.actions.delete(key) || round.actions.size > 0) return;
    clock.clearTimeout(round.timer);
    if (ofClock.get(intervalMs) === round) ofClock.delete(intervalMs);
  };
}
