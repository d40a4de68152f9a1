import { PlatformError } from '../../bus/errors.js';
import type { MemoryStoreData } from './memoryStoreData.js';
import type { Random } from './random.js';
import type { Timeline } from './timeline.js';
import type { Trace } from './trace.js';

/** What may happen to single calls; probabilities are per call. */
export interface CallFaults {
  /** Fails, and has not happened. */
  lostBefore: number;
  /** Happens, and the caller is told that it failed. */
  lostAfter: number;
  /** The caller is told that it failed, and it happens after that. */
  late: number;
  longDelay: number;
  longDelayMs: number;
}

export const NO_CALL_FAULTS: CallFaults = { lostBefore: 0, lostAfter: 0, late: 0, longDelay: 0, longDelayMs: 0 };
export type Fate = 'done' | 'lostBefore' | 'lostAfter' | 'late';

const STORE_WALL_START_MS = 1_800_000_000_000;
const USUAL_DELAY_MS = [0.1, 1] as const;

/**
 * The server that holds the data: up; `refusing` (gone: calls fail at once, and those on their way have not happened); or
 * `frozen` (stopped: calls wait, and happen when it goes on, long after their callers have given up).
 */
export class StoreServer {
  state: 'up' | 'refusing' | 'frozen' = 'up';
  faults = NO_CALL_FAULTS;
  failedCalls = 0;
  private clockOffsetMs = 0;
  private restarting = false;
  private waiting: (() => void)[] = [];

  constructor(
    readonly data: MemoryStoreData,
    private readonly timeline: Timeline,
    private readonly random: Random,
    private readonly trace: Trace,
  ) {}

  /** Redis `TIME`. */
  nowMs(): number {
    return STORE_WALL_START_MS + Math.floor(this.timeline.nowMs) + this.clockOffsetMs;
  }

  jumpClock(byMs: number): void {
    this.clockOffsetMs += byMs;
  }

  fate(): Fate {
    const { lostBefore, lostAfter, late } = this.faults;
    const dice = this.random.next();
    if (dice < lostBefore) return 'lostBefore';
    if (dice < lostBefore + lostAfter) return 'lostAfter';
    return dice < lostBefore + lostAfter + late ? 'late' : 'done';
  }

  delayMs(): number {
    const { longDelay, longDelayMs } = this.faults;
    const [min, max] = this.random.chance(longDelay) ? [0, longDelayMs] : USUAL_DELAY_MS;
    return this.random.between(min, max);
  }

  /** Runs the call now, or when the server goes on; `refuse` when it never will. */
  accept(run: () => void, refuse: () => void): void {
    if (this.state === 'up') run();
    else if (this.state === 'frozen') this.waiting.push(run);
    else refuse();
  }

  freeze(): void {
    this.state = 'frozen';
    this.trace.add('store FROZEN');
  }

  /** Gone, with what waited; `restarts` tells whether it comes back as another run. */
  refuse(restarts: boolean): void {
    this.state = 'refusing';
    this.restarting = restarts;
    this.waiting = [];
    this.trace.add('store AWAY');
  }

  /** It serves again. */
  goOn(): void {
    if (this.state === 'up') return;
    if (this.restarting) this.data.restart();
    this.state = 'up';
    this.trace.add(`store BACK${this.restarting ? ', restarted' : ''}`);
    this.restarting = false;
    for (const run of this.waiting.splice(0)) run();
  }

  unavailable(call: string): PlatformError {
    this.failedCalls++;
    return new PlatformError('STORE_UNAVAILABLE', `simulated: ${call}`);
  }
}
