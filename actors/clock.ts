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

/** Calls `action` every `intervalMs`, the next time counted from the end of the last; returns what stops it. */
export function every(clock: Clock, intervalMs: number, action: () => void): () => void {
  let timer = clock.setTimeout(tick, intervalMs);
  let stopped = false;
  function tick(): void {
    action();
    if (!stopped) timer = clock.setTimeout(tick, intervalMs);
  }
  return () => {
    stopped = true;
    clock.clearTimeout(timer);
  };
}
