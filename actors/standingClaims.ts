import { MOST_HAND_OVERS, partsOfStanding, standingNonce } from '../bus/nonce.js';
import type { Claim } from '../bus/taskStore.js';
import type { Clock } from './clock.js';

/** What was handed over is heard in a millisecond or two; after this time it is taken for lost. */
const LOST_AFTER_MS = 2_000;

interface Standing<Made> {
  readonly made: Made;
  /** How many times it has been heard to be handed something. */
  heard: number;
  /** How many times it can have been, as far as is known. */
  most: number;
  /** By then it is known what has become of it, or it is lost. */
  deadlineMs: number;
}

/**
 * The claims of a dispatcher that stand in the store, or may: each with what it was made of, until all it has got is heard, or is known to be
 * nothing. What is not known in time is lost, and to be looked for like any claim without an answer.
 *
 * A claim is known here by its own nonce, and what it gets by its standing ones, see `nonce.ts`.
 */
export class StandingClaims<Made> {
  private readonly claims = new Map<string, Standing<Made>>();
  /** The one that stands, as far as is known here. */
  private present: string | undefined;

  /** @param lose is told the standing nonces under which something may have been handed over that is not heard any more */
  constructor(
    private readonly standMs: number,
    private readonly clock: Clock,
    private readonly lose: (standing: string) => void,
  ) {}

  /** A claim is being made: what it gets while it stands may be heard before its answer. */
  expect(nonce: string, made: Made): void {
    this.claims.set(nonce, { made, heard: 0, most: MOST_HAND_OVERS, deadlineMs: Infinity });
  }

  /** Whether a claim stands, as far as is known here. */
  get isStanding(): boolean {
    return this.present !== undefined;
  }

  /** No claim stands any more. @param stood as what the one that did until now would have got something */
  onWithdrawn(stood: string | undefined): void {
    // If it has not stood until now, it has been handed all it wanted, or its time was over.
    this.endsAt(this.present, MOST_HAND_OVERS);
    if (stood !== undefined) {
      const { nonce, time } = partsOfStanding(stood);
      this.endsAt(nonce, time);
    }
    this.present = undefined;
  }

  /** The answer to the claim: it has taken the place of what stood. */
  onClaimed(nonce: string, { stands, stood }: Claim): void {
    this.onWithdrawn(stood);
    const claim = this.claims.get(nonce);
    this.present = stands && claim ? nonce : undefined;
    if (!stands) this.claims.delete(nonce);
    else if (claim) claim.deadlineMs = this.clock.now() + this.standMs + LOST_AFTER_MS;
  }

  /** What the claim was made of that has been handed something; undefined when that comes too late to be used. */
  onHandedOver(standing: string, standsOn: boolean): Made | undefined {
    const { nonce, time } = partsOfStanding(standing);
    const claim = this.claims.get(nonce);
    if (!claim || time < claim.heard) return undefined;
    // They come in order, on one connection: what should have come before has been lost with an earlier one.
    for (; claim.heard < time; claim.heard++) this.lose(standingNonce(nonce, claim.heard));
    claim.heard++;
    if (!standsOn || claim.heard >= claim.most) this.forget(nonce);
    return claim.made;
  }

  /** It is not known what has become of the claim, and will not be. */
  giveUp(nonce: string): void {
    const claim = this.claims.get(nonce);
    if (!claim) return;
    this.forget(nonce);
    for (let time = claim.heard; time < claim.most; time++) this.lose(standingNonce(nonce, time));
  }

  /** What has been handed over lately may never be heard. */
  onCutOff(): void {
    this.giveUpUntil(Infinity);
  }

  /** To be called now and then. */
  expire(): void {
    this.giveUpUntil(this.clock.now());
  }

  /** The claim has been handed something so many times at most: what was not heard yet comes soon. */
  private endsAt(nonce: string | undefined, most: number): void {
    const claim = nonce === undefined ? undefined : this.claims.get(nonce);
    if (nonce === undefined || !claim) return;
    claim.most = Math.min(claim.most, most);
    claim.deadlineMs = this.clock.now() + LOST_AFTER_MS;
    if (claim.heard >= claim.most) this.forget(nonce);
  }

  private forget(nonce: string): void {
    if (this.present === nonce) this.present = undefined;
    this.claims.delete(nonce);
  }

  private giveUpUntil(deadlineMs: number): void {
    for (const [nonce, claim] of this.claims) {
      if (claim.deadlineMs <= deadlineMs) this.giveUp(nonce);
    }
  }
}
