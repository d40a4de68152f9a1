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
  /** Before the platform is stopped; also when something else has failed. */
  cleanUp?(scene: Scene): Promise<void>;
}
