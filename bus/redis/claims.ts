import type { Redis } from 'ioredis';
import { type Lane, lanesFor, type Offer, rotated } from '../requirement.js';
import type { Claim, ClaimedTask, HandOverHearer } from '../taskStore.js';
import { MOST_HAND_OVERS, partsOfStanding } from '../nonce.js';
import { joinedIds } from './joinedIds.js';
import type { ShardKeys } from './keys.js';
import { readLargeArguments } from './largeValues.js';
import { messageParts } from './mailbox.js';
import { Script } from './script.js';
import { parseTimeout } from './taskRecord.js';
import { guarded, MAX_BATCH } from './shards.js';

/** Texts are Buffers in what a script returns, and strings in what it publishes. */
type Text = Buffer | string;
type Field = Text | number | null;

/** What has been claimed, see `claiming.lua`. */
type Given = [
  promoted: Text[],
  claimed: Field[],
  groups: number[],
  dependent: (Text | number)[],
  traced: (Text | number)[],
];

/** What `claim.lua` returns. */
type Answer = [...Given, stood: Buffer, stands: number, more: number, requirements: Buffer[] | undefined];
type ClaimedFields = [
  id: Text,
  newFunctionId: Text,
  arguments: Buffer,
  attempt: number,
  timeout: Text,
  waitedMs: number,
];
const FIELDS = 6;

/** The Lua files that scripts need which claim. */
export const CLAIMING = ['story', 'tenant', 'requirement', 'usage', 'turns', 'claiming', 'standing'] as const;

const scripts = {
  claim: new Script<Answer>('claim', ...CLAIMING),
  withdraw: new Script<Buffer>('withdraw', 'standing'),
};

/** How much a claim may take; `nonce` is the second half of the fences it gives. */
export interface ClaimBounds {
  nonce: string;
  limit: number;
  /** Of arguments; the last task may exceed them. */
  bytes: number;
  /** For how long what is left of it may stand; undefined: claims of this process never do. */
  standMs?: number | undefined;
}

/** The requirements of a shard as they were last seen, and the lanes they make for the offers that were last made. */
interface Known {
  version: string;
  requirements: readonly string[];
  kinds: string;
  lanes: readonly Lane[];
}

const ANY_WORKER = { labels: [], python: '' };
/** Claims that may stand, or have been handed something that has not been heard of yet. */
const MAX_STANDING = 16;
/** Calls of one claim on one shard: a second one, where the first has shown that there are requirements it did not ask for. */
const MAX_CALLS = 2;

/**
 * Claims, from one shard after the other. What requirements there are is remembered and checked by every claim in passing, so that
 * tasks that not every worker can run cost no call more than others, but for the first of a new requirement.
 */
export class Claims {
  private readonly known = new Map<ShardKeys, Known>();
  private nextShard = 0;
  private turn = 0;
  /** By the claim's own nonce: the lanes that it was made with, where it may stand. */
  private readonly standing = new Map<string, readonly Lane[]>();

  constructor(
    private readonly redis: Redis,
    private readonly shards: readonly ShardKeys[],
    private readonly leaseMs: number,
  ) {}

  async claim(claimant: string, bounds: ClaimBounds, offers?: readonly Offer[]): Promise<Claim> {
    const claim: Claim = { claimed: [], promoted: [] };
    const { nonce, limit, standMs } = bounds;
    const given = offers ?? [{ capabilities: ANY_WORKER, credit: limit }];
    const credits = given.map(({ credit }) => credit);
    let { bytes } = bounds;
    const isDone = (): boolean => claim.claimed.length >= limit || bytes <= 0;
    // Every claim begins at another shard, so that none is favoured.
    for (let turn = 0; turn < this.shards.length && !isDone(); turn++) {
      const shard = this.shards[this.nextShard++ % this.shards.length] as ShardKeys;
      let isKnown = false;
      for (let call = 0; call < MAX_CALLS && !isKnown && !isDone(); call++) {
        const left = { nonce, limit: Math.min(limit - claim.claimed.length, MAX_BATCH), bytes, standMs };
        const known = this.knownFor(shard, given);
        const lanes = rotated(known.lanes, this.turn++);
        if (standMs) this.mayStand(nonce, lanes);
        const answer = await this.call(shard, claimant, left, { version: known.version, credits, lanes });
        bytes -= await this.take(shard, answer, { nonce, credits, lanes }, claim);
        const [, , , , , stood, stands, more, requirements] = answer;
        isKnown = !requirements || !this.learn(shard, requirements);
        if (stood.length > 0) claim.stood = stood.toString('latin1');
        if (stands === 1) claim.stands = true;
        if (more === 1) claim.isCut = true;
        if (more === 2) claim.holdsBack = true;
      }
    }
    return claim;
  }

  /** See `TaskStore.withdraw`. */
  async withdraw(shard: ShardKeys, claimant: string): Promise<string | undefined> {
    const args = [shard.taskPrefix, claimant];
    const stood = await guarded(() => scripts.withdraw.run(this.redis, [shard.standing], args));
    return stood.length > 0 ? stood.toString('latin1') : undefined;
  }

  /** Before it is known whether it does: what it gets may be heard sooner. */
  private mayStand(nonce: string, lanes: readonly Lane[]): void {
    this.standing.set(nonce, lanes);
    for (const old of [...this.standing.keys()].slice(0, -MAX_STANDING)) this.standing.delete(old);
  }

  /** What a claim has got that stood: the message that `standing.lua` publishes. Undefined when no such claim is remembered. */
  async handedOver(shard: ShardKeys, message: Buffer): Promise<Parameters<HandOverHearer['handedOver']> | undefined> {
    const [[first, standsOn, ...given], bytes] = messageParts(message);
    const nonce = String(first);
    const lanes = this.standing.get(partsOfStanding(nonce).nonce);
    if (!lanes) return undefined;
    // An empty table of Lua is an object in JSON.
    const parts = given.map((part) => (Array.isArray(part) ? (part as unknown[]) : [])) as Given;
    const claimed = parts[1];
    let at = 0;
    for (let i = 2; i < claimed.length; i += FIELDS) {
      const length = claimed[i] as number;
      claimed[i] = length < 0 ? null : bytes.subarray(at, (at += length));
    }
    const claim: Claim = { claimed: [], promoted: [] };
    await this.take(shard, parts, { nonce, credits: [], lanes }, claim);
    return [nonce, claim, standsOn === 1];
  }

  private call(
    shard: ShardKeys,
    claimant: string,
    { nonce, limit, bytes, standMs }: ClaimBounds,
    { version, credits, lanes }: { version: string; credits: number[]; lanes: readonly Lane[] },
  ): Promise<Answer> {
    const keys = [...shard.queues, shard.delayed, shard.leases, shard.requirements];
    const args: (string | number)[] = [shard.taskPrefix, limit, this.leaseMs, nonce, claimant, bytes];
    args.push(version, standMs ?? '', MOST_HAND_OVERS, credits.length, ...credits);
    for (const lane of lanes) args.push(lane.requirement, lane.offers.length, ...lane.offers.map((offer) => offer + 1));
    return guarded(() => scripts.claim.run(this.redis, keys, args));
  }

  /** Puts what a call gave into the claim, and takes it from the credits. Answers the bytes of the arguments. */
  private async take(
    shard: ShardKeys,
    [promoted, claimed, groups, dependent, traced]: Given | Answer,
    { nonce, credits, lanes }: { nonce: string; credits: number[]; lanes: readonly Lane[] },
    into: Claim,
  ): Promise<number> {
    for (let i = 0; i < promoted.length; i += 2) {
      const from = String(promoted[i + 1]) === 'delayed' ? 'delayed' : 'retrying';
      into.promoted.push({ taskId: String(promoted[i]), from });
    }
    if (claimed.includes(null)) await guarded(() => readLargeArguments(this.redis, shard.taskPrefix, claimed));
    const first = into.claimed.length;
    let next = 0;
    let functionId = '';
    let total = 0;
    for (let i = 0; i < groups.length; i += 3) {
      const { requirement } = lanes[(groups[i] as number) - 1] as Lane;
      const offer = (groups[i + 1] as number) - 1;
      const count = groups[i + 2] as number;
      credits[offer] = (credits[offer] ?? 0) - count;
      for (const end = next + FIELDS * count; next < end; next += FIELDS) {
        const newFunctionId = claimed[next + 1] as ClaimedFields[1];
        const bytes = claimed[next + 2] as ClaimedFields[2];
        const attempt = claimed[next + 3] as ClaimedFields[3];
        const timeout = claimed[next + 4] as ClaimedFields[4];
        const waitedMs = claimed[next + 5] as ClaimedFields[5];
        total += bytes.length;
        if (newFunctionId.length > 0) functionId = newFunctionId.toString('latin1');
        const task: ClaimedTask = {
          taskId: (claimed[next] as ClaimedFields[0]).toString('latin1'),
          functionId,
          arguments: bytes,
          attempt,
          fence: `${attempt}:${nonce}`,
          timeoutMs: 0,
        };
        if (timeout.length > 0) Object.assign(task, parseTimeout(String(timeout)));
        if (waitedMs >= 0) task.waitedMs = waitedMs;
        if (requirement !== '') task.requirement = requirement;
        if (offer > 0) task.offer = offer;
        into.claimed.push(task);
      }
    }
    for (let i = 0; i < dependent.length; i += 2) {
      const task = into.claimed[first + Number(dependent[i])];
      if (task) task.dependsOn = joinedIds(String(dependent[i + 1]));
    }
    for (let i = 0; i < traced.length; i += 2) {
      const task = into.claimed[first + Number(traced[i])];
      if (task) task.trace = String(traced[i + 1]);
    }
    return total;
  }

  /** Notes what requirements there are; true when some were not known. */
  private learn(shard: ShardKeys, answer: Buffer[]): boolean {
    const [version = '', ...requirements] = answer.map((text) => text.toString('latin1'));
    const before = this.known.get(shard)?.requirements ?? [];
    this.known.set(shard, { version, requirements: requirements.sort(), kinds: '', lanes: [] });
    return requirements.some((requirement) => !before.includes(requirement));
  }

  private knownFor(shard: ShardKeys, offers: readonly Offer[]): Known {
    const known = this.known.get(shard) ?? { version: '', requirements: [], kinds: '', lanes: [] };
    const kinds = offers.map(({ capabilities: { labels, python } }) => `${labels.join(',')}@${python}`).join(' ');
    if (known.kinds === kinds && known.lanes.length > 0) return known;
    const lanes = lanesFor(
      known.requirements,
      offers.map(({ capabilities }) => capabilities),
    );
    const now = { ...known, kinds, lanes };
    this.known.set(shard, now);
    return now;
  }
}
