/** How soon the next start may follow, so that a Python that dies at start does not spin. */

const PERIOD_MS = 10_000;
const STARTS_PER_PERIOD = 5;
const FIRST_DELAY_MS = 100;
const LARGEST_DELAY_MS = 5_000;

/** Counts starts that ended before READY. A process that became ready starts the count anew. */
export class StartLimit {
  private failedAtMs: number[] = [];
  private inARow = 0;

  succeeded(): void {
    this.failedAtMs = [];
    this.inARow = 0;
  }

  failed(nowMs: number): void {
    this.inARow++;
    this.failedAtMs = [...this.failedAtMs.filter((atMs) => nowMs - atMs < PERIOD_MS), nowMs];
  }

  /** Python does not start here; trying goes on, slowly. */
  get isExceeded(): boolean {
    return this.failedAtMs.length >= STARTS_PER_PERIOD || this.inARow >= STARTS_PER_PERIOD;
  }

  /** 0, then doubling up to 5 s. */
  get delayMs(): number {
    return this.inARow === 0 ? 0 : Math.min(LARGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.inARow - 1));
  }
}
