import type { PlatformOptions } from '../support/platform.js';
import type { Scene } from './scene.js';

/** One way in which things go wrong, and what must be true of it all the same. */
export interface Fault {
  readonly name: string;
  /** Why it cannot be tried on this machine; absent or undefined when it can. */
  readonly unavailable?: () => string | undefined;
  /** Beyond two push workers of two slots. */
  readonly platform?: PlatformOptions;
  /** How much longer the tasks take than usual; default 1. */
  readonly taskScale?: number;
  /** Nothing is submitted but what the fault itself submits. */
  readonly ownLoad?: boolean;
  /** No task may be started twice. */
  readonly startsOnce?: boolean;
  /** Redis forgets what it had acknowledged: a client may have seen an end that comes again. */
  readonly rollsBack?: boolean;
  /** Longest time from the end of the fault to the end of all that was accepted before. */
  readonly recoveryMs?: number;
  /** Before the load begins. */
  prepare?(scene: Scene): Promise<void>;
  /** While the load runs; resolves when the fault is over, or, for what stays broken, has happened. */
  inject(scene: Scene): Promise<void>;
  /** When all that was accepted has ended: what is not as it must be beyond what is counted for every fault. */
  verify?(scene: Scene, row: Row): Promise<string[]>;
  /** Before the platform is stopped; also when something else has failed. */
  cleanUp?(scene: Scene): Promise<void>;
}

/** What one fault did, counted. */
export interface Row {
  fault: string;
  accepted: number;
  completed: number;
  /** Accepted and unknown, or not ended, or without their right end. */
  lost: number;
  /** Ended with a value other than the function's, with that of an attempt which had lost its fence, or with more than one end. */
  wrong: number;
  /** Mean and most starts of a task. */
  starts: string;
  /** Results refused because the attempt was no longer its worker's, and repeated ones acknowledged again. */
  stale: number;
  duplicate: number;
  recoveryMs: number;
  orphans: number;
  /** What is not as it must be; empty when all is. */
  violations: string[];
  /** Why it was not tried. */
  skipped?: string;
}
