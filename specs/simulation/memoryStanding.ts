import { MOST_HAND_OVERS, standingNonce } from '../../bus/nonce.js';
import type { Lane } from '../../bus/requirement.js';
import type { HandOverHearer } from '../../bus/taskStore.js';

/** As in `standing.lua`. */
const MOST_BYTES = 256 * 1024;

/** A claim that stands, with what is left of it. */
export interface StandingClaim {
  readonly claimant: string;
  /** Its own; what it gets comes under another one each time. */
  readonly nonce: string;
  /** How many times it has been handed something. */
  readonly times: number;
  readonly leaseMs: number;
  readonly lanes: readonly Lane[];
  readonly credits: number[];
  readonly left: { limit: number; bytes: number };
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

  /** Under which what stood would have got something. */
  withdraw(claimant: string): string | undefined {
    const claim = this.claims.get(claimant);
    this.claims.delete(claimant);
    return claim && standingNonce(claim.nonce, claim.times);
  }

  /** Whether anything is left that can stand. */
  add(claim: StandingClaim, nowMs: number): boolean {
    if (!wantsMore(claim) || claim.untilMs <= nowMs) return false;
    const { limit, bytes } = claim.left;
    this.claims.set(claim.claimant, { ...claim, left: { limit, bytes: Math.min(bytes, MOST_BYTES) } });
    return true;
  }

  /**
   * Offers what waits to each that still stands and is listened to.
   * @param give takes from the claim what it got, and answers how many tasks, and whether it was cut; unless it got nothing at all it asks
   * `standsOn`
   */
  handOver(
    nowMs: number,
    most: number,
    isListening: (claimant: string) => boolean,
    give: (claim: StandingClaim, standsOn: () => boolean) => { handed: number; isCut: boolean },
  ): number {
    let handed = 0;
    let isCut = false;
    const isAlone = this.claims.size === 1;
    for (const [claimant, claim] of [...this.claims]) {
      if (nowMs > claim.untilMs || !isListening(claimant)) this.claims.delete(claimant);
      else if (handed < most && !isCut) {
        const given = give(claim, () => {
          const times = claim.times + 1;
          const standsOn = isAlone && times < MOST_HAND_OVERS && wantsMore(claim);
          if (standsOn) this.claims.set(claimant, { ...claim, times });
          else this.claims.delete(claimant);
          return standsOn;
        });
        handed += given.handed;
        isCut = given.isCut;
      }
    }
    return isCut ? 0 : handed;
  }
}

const wantsMore = ({ credits, left }: StandingClaim): boolean =>
  credits.some((credit) => credit > 0) && left.limit > 0 && left.bytes > 0;
