import { laneOf } from '../../bus/tenants.js';
import { lanesFor, type Offer, rotated } from '../../bus/requirement.js';
import { standingNonce } from '../../bus/nonce.js';
import type { Claim, HandOverHearer, TaskState } from '../../bus/taskStore.js';
import { ClaimRound, type ClaimTask, isAdmitted } from './memoryQueues.js';
import type { MemoryStoreData, Queues, ShardData } from './memoryStoreData.js';
import { MemoryStoreReads } from './memoryStoreReads.js';
import type { StoredTask } from './storedTask.js';

export interface MemoryTaskStoreOptions {
  leaseMs: number;
  resultTtlSeconds: number;
  /** Redis `TIME` in ms, whole. */
  nowMs: () => number;
  /** For the jitter of retries, in [0, 1). */
  random: () => number;
  /** Most requirements of one shard. Default 1,000. */
  maxRequirements?: number;
  /** Hears of every transition, in the step that makes it. */
  onTransition?: (task: StoredTask, from: TaskState | 'new', event: string, to: TaskState) => void;
}

/** Bounds of the scripts. */
const MAX_BATCH = 500;
const MAX_PROMOTED = 1_000;
const NO_BYTES = Buffer.alloc(0);

/** The part of the model that has the queues: how tasks come into them, and out. */
export class MemoryStoreQueues extends MemoryStoreReads {
  private nextShard = 0;
  private turn = 0;
  /** What this connection knows of each shard's requirements, as in `claims.ts`. */
  private readonly known = new Map<ShardData, { version: number; requirements: string[] }>();

  constructor(
    data: MemoryStoreData,
    protected override readonly options: MemoryTaskStoreOptions,
  ) {
    super(data, options);
  }

  async claim(
    claimant: string,
    limit: number,
    nonce: string,
    maxBytes = Number.MAX_SAFE_INTEGER,
    offers?: readonly Offer[],
    standMs = 0,
  ): Promise<Claim> {
    const claim: Claim = { claimed: [], promoted: [] };
    const given = offers ?? [{ capabilities: { labels: [], python: '' }, credit: limit }];
    const credits = given.map(({ credit }) => credit);
    const capabilities = given.map((offer) => offer.capabilities);
    let bytes = maxBytes;
    const isDone = (): boolean => claim.claimed.length >= limit || bytes <= 0;
    for (let turn = 0; turn < this.data.shards.length && !isDone(); turn++) {
      const shard = this.data.shards[this.nextShard++ % this.data.shards.length] as ShardData;
      let isKnown = false;
      for (let call = 0; call < 2 && !isKnown && !isDone(); call++) {
        const known = this.known.get(shard) ?? { version: 0, requirements: [] };
        const lanes = rotated(lanesFor(known.requirements, capabilities), this.turn++);
        const left = { limit: Math.min(limit - claim.claimed.length, MAX_BATCH), bytes };
        this.promoteDue(shard, claim);
        const round = new ClaimRound(lanes, credits, left);
        bytes = this.claimFrom(shard, { claimant, nonce }, round, claim);
        if (round.isCut) claim.isCut = true;
        if (this.data.listeners.has(claimant)) {
          const stood = shard.standing.withdraw(claimant);
          if (stood !== undefined) claim.stood = stood;
          const untilMs = this.options.nowMs() + standMs;
          const { leaseMs } = this.options;
          const rest = { claimant, nonce, times: 0, leaseMs, lanes, credits: [...credits], left, untilMs };
          const isUpToDate = known.version === shard.requirementsVersion;
          if (isUpToDate && !round.isCut && shard.standing.add(rest, this.options.nowMs())) claim.stands = true;
        }
        isKnown = !this.learn(shard);
      }
    }
    return claim;
  }

  /** @param isListening false while the claimant's connection is away */
  standBy(claimant: string, hearer: HandOverHearer, isListening = (): boolean => true): void {
    if (this.data.shards.length === 1) this.data.listeners.set(claimant, { hearer, isListening });
  }

  async withdraw(claimant: string): Promise<string | undefined> {
    const [shard, ...others] = this.data.shards;
    return shard && others.length === 0 ? shard.standing.withdraw(claimant) : undefined;
  }

  /** Hands what waits to claims that stand; how many tasks they got, looking for no more than `most`. */
  protected handOver(shard: ShardData, most: number): number {
    const { listeners } = this.data;
    const isListening = (claimant: string): boolean => listeners.get(claimant)?.isListening() ?? false;
    return shard.standing.handOver(this.options.nowMs(), most, isListening, (standing, standsOn) => {
      const { claimant, lanes, credits, left, leaseMs } = standing;
      const nonce = standingNonce(standing.nonce, standing.times);
      const claim: Claim = { claimed: [], promoted: [] };
      this.promoteDue(shard, claim);
      const round = new ClaimRound(lanes, credits, left);
      this.claimFrom(shard, { claimant, nonce, leaseMs }, round, claim);
      const { isCut } = round;
      const handed = claim.claimed.length;
      if (handed + claim.promoted.length > 0) listeners.get(claimant)?.hearer.handedOver(nonce, claim, standsOn());
      return { handed, isCut };
    });
  }

  private promoteDue(shard: ShardData, claim: Claim): void {
    for (const taskId of shard.delayed.upTo(this.options.nowMs(), MAX_PROMOTED)) {
      shard.delayed.remove(taskId);
      const task = this.taskIn(shard, taskId);
      if (task?.state !== 'delayed' && task?.state !== 'retrying') continue;
      claim.promoted.push({ taskId, from: task.state });
      this.queueOf(shard, task).unshift(taskId);
      this.transition(task, 'task.due', 'queued');
    }
  }

  /** What is left of the bytes. */
  private claimFrom(
    shard: ShardData,
    { claimant, nonce, leaseMs = this.options.leaseMs }: { claimant: string; nonce: string; leaseMs?: number },
    round: ClaimRound,
    claim: Claim,
  ): number {
    const now = this.options.nowMs();
    for (const [priority, queues] of shard.queues.entries()) {
      const turns = shard.hasTenants ? shard.turns[priority] : undefined;
      const give: ClaimTask = (taskId, { requirement }, offer) => {
        const task = this.taskIn(shard, taskId);
        if (task?.state !== 'queued') return undefined;
        task.attempt++;
        task.fence = `${task.attempt}:${nonce}`;
        task.claimant = claimant;
        task.claimedMs = now;
        shard.leases.add(taskId, now + leaseMs);
        this.transition(task, 'task.claimed', 'running', ` attempt ${task.attempt}`);
        const { functionId, attempt, fence, timeoutMs, isolation, dependsOn } = task;
        claim.claimed.push({
          taskId,
          functionId,
          arguments: task.arguments ?? NO_BYTES,
          attempt,
          fence,
          timeoutMs,
          ...(isolation && { isolation }),
          ...(requirement !== '' && { requirement }),
          ...(offer > 0 && { offer }),
          ...(dependsOn && { dependsOn }),
          ...waited(task.history, now),
          ...(task.trace !== undefined && { trace: task.trace }),
        });
        return task.arguments?.length ?? 0;
      };
      round.serve(queues, give, turns);
    }
    return round.bytes;
  }

  /** Notes what requirements there are, as this connection sees them; true when some were not known. */
  private learn(shard: ShardData): boolean {
    const { version, requirements } = this.known.get(shard) ?? { version: 0, requirements: [] };
    if (version === shard.requirementsVersion) return false;
    const now = [...shard.requirements.keys()].sort();
    this.known.set(shard, { version: shard.requirementsVersion, requirements: now });
    return now.some((requirement) => !requirements.includes(requirement));
  }

  protected isAdmitted(shard: ShardData, requirement: string, inBatch = new Set<string>()): boolean {
    inBatch.add(requirement);
    return isAdmitted(shard, requirement, { nowS: this.nowS(), most: this.options.maxRequirements, inBatch });
  }

  protected nowS(): number {
    return Math.floor(this.options.nowMs() / 1000);
  }

  protected noteUse(shard: ShardData, { requirement, tenant, priority }: StoredTask): void {
    if (requirement !== '') {
      if (!shard.requirements.has(requirement)) shard.requirementsVersion++;
      shard.requirements.set(requirement, this.nowS());
    }
    if (tenant === undefined) return;
    if (!shard.hasTenants) shard.requirementsVersion++;
    shard.hasTenants = true;
    shard.turns[priority]?.enter(tenant, requirement);
  }

  /** The list in which the task waits, or will. */
  protected queueOf(shard: ShardData, task: StoredTask): string[] {
    this.noteUse(shard, task);
    const lane = laneOf(task.tenant, task.requirement);
    const lists = shard.queues[task.priority] as Queues;
    const list = lists.get(lane) ?? [];
    lists.set(lane, list);
    return list;
  }

  /** The one place that changes a task's state. */
  protected transition<S extends TaskState>(
    task: StoredTask,
    event: string,
    to: S,
    detail = '',
    from: TaskState | 'new' = task.state,
  ): S {
    const line = `${this.options.nowMs()} ${event} ${to}${detail}`;
    task.state = to;
    if (to === 'queued' || to === 'retrying') {
      task.claimant = undefined;
      task.claimedMs = undefined;
    }
    task.history = task.history === '' ? line : `${task.history}\n${line}`;
    this.options.onTransition?.(task, from, event, to);
    return to;
  }
}

/** Of tasks that were neither delayed nor blocked. */
function waited(history: string, nowMs: number): { waitedMs?: number } {
  const [, submittedMs] = /^(\d+) task\.submitted queued/.exec(history) ?? [];
  return submittedMs === undefined ? {} : { waitedMs: nowMs - Number(submittedMs) };
}
