import type { Lane } from '../../bus/requirement.js';
import type { Queues, ShardData } from './memoryStoreData.js';
import type { Turns, TurnsClaim } from './memoryTurns.js';

const MAX_REQUIREMENTS = 1_000;
/** Entries of cancelled tasks that one claim drops. */
const MOST_DROPPED = 2_000;
/** Of which nothing waits and that have not been used for so long are forgotten when a new one comes. */
const UNUSED_S = 600;

interface Admission {
  nowS: number;
  most: number | undefined;
  /** Requirements of the batch that is being submitted. */
  inBatch: ReadonlySet<string>;
}

/** As `is_admitted` of `submit.lua`. */
export function isAdmitted(
  shard: ShardData,
  requirement: string,
  { nowS, most = MAX_REQUIREMENTS, inBatch }: Admission,
): boolean {
  const { requirements, queues, turns } = shard;
  if (requirements.has(requirement)) return true;
  const forgetUnused = (olderThanS: number): void => {
    for (const [known, usedS] of requirements) {
      const waits =
        queues.some((lists) => (lists.get(known)?.length ?? 0) > 0) ||
        turns.some(({ waiting }) => (waiting.get(known)?.size ?? 0) > 0);
      if (!waits && !inBatch.has(known) && nowS - usedS >= olderThanS) requirements.delete(known);
    }
  };
  forgetUnused(UNUSED_S);
  if (requirements.size >= most) forgetUnused(0);
  return requirements.size < most;
}

/** Claims a task; answers the bytes of its arguments, undefined when it cannot be claimed. */
export type ClaimTask = (taskId: string, lane: Lane, offer: number) => number | undefined;

/** One claim on one shard: what its lanes may still take, as in `claim.lua`. */
export class ClaimRound {
  private dropped = 0;

  constructor(
    private readonly lanes: readonly Lane[],
    /** By offer; what is claimed is taken from them. */
    private readonly credits: number[],
    private readonly left: { limit: number; bytes: number },
  ) {}

  /** Of arguments, that may still be given. */
  get bytes(): number {
    return this.left.bytes;
  }

  /** It has dropped so many entries that it ends here. */
  get isCut(): boolean {
    return this.dropped >= MOST_DROPPED;
  }

  /** Tasks that may still be given. */
  private get room(): number {
    return this.bytes > 0 && !this.isCut ? this.left.limit : 0;
  }

  /** Serves the lists of one priority. @param turns where there are tenants */
  serve(queues: Queues, claim: ClaimTask, turns: Turns | undefined): void {
    let open = this.lanes;
    const claimInTurns: TurnsClaim = {
      left: () => this.room,
      mayServe: ({ offers }) => offers.some((offer) => this.creditOf(offer) > 0),
      serve: (lane, list, share) => {
        const before = this.left.limit;
        const { isEmpty } = this.serveLane(lane, queues.get(list) ?? [], share, claim);
        return { taken: before - this.left.limit, isEmpty };
      },
    };
    if (claimInTurns.left() > 0 && turns?.serve(this.lanes, claimInTurns)) open = [];
    while (this.room > 0 && open.length > 0) {
      const share = Math.max(1, Math.floor(this.left.limit / open.length));
      open = open.filter((lane) => {
        if (this.room === 0) return false;
        const some = Math.min(share, this.left.limit);
        return this.serveLane(lane, queues.get(lane.requirement) ?? [], some, claim).mayHaveMore;
      });
    }
  }

  /** Whether the lane may have more, and workers for it. */
  private serveLane(
    lane: Lane,
    queue: string[],
    share: number,
    claim: ClaimTask,
  ): { mayHaveMore: boolean; isEmpty: boolean } {
    let left = share;
    for (const offer of lane.offers) {
      while (this.creditOf(offer) > 0 && left > 0 && this.room > 0) {
        const wanted = Math.min(left, this.creditOf(offer));
        const taskIds = queue.splice(Math.max(0, queue.length - wanted)).reverse();
        const wasLast = taskIds.length < wanted;
        for (let taskId = taskIds.shift(); taskId !== undefined; taskId = taskIds.shift()) {
          const bytes = claim(taskId, lane, offer);
          if (bytes === undefined) {
            this.dropped++;
            continue;
          }
          this.credits[offer] = this.creditOf(offer) - 1;
          this.left.limit--;
          this.left.bytes -= bytes;
          left--;
          if (this.bytes <= 0) break;
        }
        const isBroken = taskIds.length > 0;
        queue.push(...taskIds.reverse());
        if (wasLast && !isBroken) return { mayHaveMore: false, isEmpty: true };
      }
    }
    return { mayHaveMore: lane.offers.some((offer) => this.creditOf(offer) > 0), isEmpty: false };
  }

  private creditOf(offer: number): number {
    return this.credits[offer] ?? 0;
  }
}
