import { standingNonce } from '../../bus/nonce.js';
import type { Lane } from '../../bus/requirement.js';
import type { HandOverHearer } from '../../bus/taskStore.js';

/** As in `standing.lua`. */
const MOST_BYTES = 256 * 1024;

/** A claim that stands, with what is left of it. */
export interface StandingClaim {
  readonly claimant: string;
  readonly nonce: string;
  readonly leaseMs: number;
  readonly lanes: readonly Lane[];
  readonly credits: number[];
  readonly limit: number;
  readonly bytes: number;
  readonly untilMs: number;
}

/** Whom a claimant's claims are told to; nobody listens while its connection is away. */
export interface Listener {
  readonly hearer: HandOverHearer;
  isListening(): boolean;
}

/** The claims that stand in one shard, by claimant, in the order in which Redis keeps them. */
export class StandingClaims {
  private readonly claims = new Map<string, StandingClaim>();

  get claimants(): string[] {
    return [...this.claims.keys()];
  }

  /** The nonce of what stood. */
  withdraw(claimant: string): string | undefined {
    const nonce = this.claims.get(claimant)?.nonce;
    this.claims.delete(claimant);
    return nonce;
  }

  /** Whether anything is left that can stand. */
  add(claim: StandingClaim, nowMs: number): boolean {
    const { claimant, nonce, credits, limit, bytes, untilMs } = claim;
    if (!credits.some((credit) => credit > 0) || untilMs <= nowMs || limit <= 0 || bytes <= 0) return false;
    this.claims.set(claimant, { ...claim, nonce: standingNonce(nonce), bytes: Math.min(bytes, MOST_BYTES) });
    return true;
  }

  /** Offers what waits to each that still stands and is listened to; `give` tells how many tasks one got, undefined when nothing at all. */
  handOver(
    nowMs: number,
    most: number,
    isListening: (claimant: string) => boolean,
    give: (claim: StandingClaim) => number | undefined,
  ): number {
    let handed = 0;
    for (const [claimant, claim] of [...this.claims]) {
      if (nowMs > claim.untilMs || !isListening(claimant)) this.claims.delete(claimant);
      else if (handed < most) {
        const given = give({ ...claim, credits: [...claim.credits] });
        if (given === undefined) continue;
        this.claims.delete(claimant);
        handed += given;
      }
    }
    return handed;
  }
}
