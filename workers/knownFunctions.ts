/** What a pool knows of functions: their bodies, as many as fit, and how long their calls take. */
import { FunctionBodies } from '../bus/functionBodies.js';

/** Bodies kept, bytes; whoever sends a task of a forgotten function is asked for its body again. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;
/** Functions whose run times are remembered. */
const MAX_MEANS = 10_000;
/** Weight of the newest measurement. */
const NEWEST_WEIGHT = 0.25;

export class KnownFunctions extends FunctionBodies {
  /** Exponentially weighted mean of a function's run times, us. */
  private readonly meansUs = new Map<string, number>();

  constructor(maxBytes = MAX_BODY_BYTES) {
    super(maxBytes);
  }

  /** Undefined before its first result. */
  expectedUs(functionId: string): number | undefined {
    return this.meansUs.get(functionId);
  }

  observe(functionId: string, measuredUs: number): void {
    const meanUs = this.meansUs.get(functionId) ?? measuredUs;
    this.meansUs.set(functionId, meanUs + NEWEST_WEIGHT * (measuredUs - meanUs));
    if (this.meansUs.size <= MAX_MEANS) return;
    // Whose function was seen first goes; should it be called again, it is measured anew.
    for (const oldest of this.meansUs.keys()) {
      this.meansUs.delete(oldest);
      return;
    }
  }
}
