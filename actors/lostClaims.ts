import type { TaskRef } from '../bus/messages.js';
import type { TaskStore } from '../bus/taskStore.js';
import type { Clock } from './clock.js';

export interface LostClaimsDeps {
  store: Pick<TaskStore, 'findClaims'>;
  clock: Clock;
  release: (tasks: TaskRef[]) => void;
}

const AGAIN_MS = 1_000;

/**
 * Claims that have failed, or seem to have: the answer may have got lost, and then Redis has tasks under a lease that nobody knows of.
 * They are found by the claim's nonce and given back, so that an outage costs them neither a lease nor an attempt.
 *
 * A claim that lies in a connection's buffers may even be made after it has failed here. So it is looked for until the leases it
 * would have given first are over.
 */
export class LostClaims {
  /** By nonce: since when the store has answered that it looked; undefined before. */
  private readonly lookedSinceMs = new Map<string, number | undefined>();
  private lookedAtMs = -Infinity;

  constructor(
    private readonly leaseMs: number,
    private readonly deps: LostClaimsDeps,
  ) {}

  /** Before the next claim: so there is no more than one lost claim for each time that the store is reached and lost again. */
  get due(): boolean {
    return this.lookedSinceMs.size > 0 && this.deps.clock.now() - this.lookedAtMs >= AGAIN_MS;
  }

  add(nonce: string): void {
    this.lookedSinceMs.set(nonce, undefined);
    this.lookedAtMs = -Infinity;
  }

  /** Rejects when the store cannot be reached. */
  async giveBack(): Promise<void> {
    const nonces = [...this.lookedSinceMs.keys()];
    const found = await this.deps.store.findClaims(nonces);
    const now = this.deps.clock.now();
    this.lookedAtMs = now;
    for (const nonce of nonces) {
      const sinceMs = this.lookedSinceMs.get(nonce) ?? now;
      if (now - sinceMs > this.leaseMs) this.lookedSinceMs.delete(nonce);
      else this.lookedSinceMs.set(nonce, sinceMs);
    }
    if (found.length > 0) this.deps.release(found);
  }
}
