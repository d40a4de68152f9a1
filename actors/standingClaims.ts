import type { Claim } from '../bus/taskStore.js';
import type { Clock } from './clock.js';

/** What was handed over is heard in a millisecond or two; after this time it is taken for lost. */
const LOST_AFTER_MS = 2_000;

interface Standing<Made> {
  readonly made: Made;
  /** By then it is known what has become of it, or it is lost. */
  deadlineMs: number;
}

/**
 * The claims of a dispatcher that stand in the store, or may: each with what it was made of, until what it has got is heard, or is known to be
 * nothing. One of which neither is known in time is lost, and to be looked for like any claim without an answer.
 */
export class StandingClaims<Made> {
  private readonly claims = new Map<string, Standing<Made>>();
  /** The one that stands, as far as is known here. */
  private present: string | undefined;

  constructor(
    private readonly standMs: number,
    private readonly clock: Clock,
    private readonly lose: (nonce: string) => void,
  ) {}

  /** A claim is being made: what it gets while it stands may be heard before its answer. */
  expect(nonce: string, made: Made): void {
    this.claims.set(nonce, { made, deadlineMs: Infinity });
  }

  /** Whether a claim stands, as far as is known here. */
  get isStanding(): boolean {
    return this.present !== undefined;
  }

  /** No claim stands any more. @param stood the one that did until now */
  onWithdrawn(stood: string | undefined): void {
    if (stood !== undefined) this.claims.delete(stood);
    // If it has not stood until now, it has been handed something, or its time was over.
    const before = this.claims.get(this.present ?? '');
    if (before) before.deadlineMs = this.clock.now() + LOST_AFTER_MS;
    this.present = undefined;
  }

  /** The answer to the claim: it has taken the place of what stood. */
  onClaimed(nonce: string, { stands, stood }: Claim): void {
    this.onWithdrawn(stood);
    const now = this.clock.now();
    const claim = this.claims.get(nonce);
    this.present = stands && claim ? nonce : undefined;
    if (!stands) this.claims.delete(nonce);
    else if (claim) claim.deadlineMs = now + this.standMs + LOST_AFTER_MS;
  }

  /** What the claim was made of that has been handed something; undefined when that comes too late to be used. */
  onHandedOver(nonce: string): Made | undefined {
    const made = this.claims.get(nonce)?.made;
    this.giveUp(nonce);
    return made;
  }

  /** Expects nothing of it any more; false when that was so already. */
  giveUp(nonce: string): boolean {
    if (this.present === nonce) this.present = undefined;
    return this.claims.delete(nonce);
  }

  /** What has been handed over lately may never be heard. */
  onCutOff(): void {
    this.loseUntil(Infinity);
  }

  /** To be called now and then. */
  expire(): void {
    this.loseUntil(this.clock.now());
  }

  private loseUntil(deadlineMs: number): void {
    for (const [nonce, claim] of this.claims) {
      if (claim.deadlineMs > deadlineMs) continue;
      this.giveUp(nonce);
      this.lose(nonce);
    }
  }
}
