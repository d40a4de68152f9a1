import { SimulatedClock } from 'xstate';
import type { Clock } from '../../../actors/clock.js';

/** Time that moves only when told to; XState's simulated clock in the shape that actors take. */
export class ManualClock implements Clock {
  readonly #clock = new SimulatedClock();

  now(): number {
    return this.#clock.now();
  }

  wallMs(): number {
    return this.#clock.now();
  }

  setTimeout(action: () => void, delayMs: number): unknown {
    return this.#clock.setTimeout(action, delayMs);
  }

  clearTimeout(timer: unknown): void {
    this.#clock.clearTimeout(timer as number);
  }

  advance(byMs: number): void {
    this.#clock.increment(byMs);
  }
}
