import type { Redis } from 'ioredis';
import { type ShardKeys, TENANTS_KEY } from './keys.js';
import { Script } from './script.js';
import { allStreams } from './taskIndex.js';

/** Ids that one step looks at: well under a millisecond of Redis. */
const IDS_PER_STEP = 1_000;
/** Steps of one sweep that remove things: more than a platform can have expire between two sweeps. */
const MAX_STEPS = 500;
/** Steps of one sweep that remove nothing. */
const MAX_IDLE_STEPS = 5;

const sweepIndex = new Script<[last: Buffer, seen: number, removed: number]>('sweepIndex');

/**
 * Takes entries out of the index streams whose tasks have all expired.
 *
 * It walks through each stream from the oldest entry on, fast while it finds entries to remove, slowly past those that are still needed,
 * and from the beginning again. Every sweep also looks at the oldest ones, where nearly all that expires is.
 */
export class IndexSweeper {
  /** How far the walk has come, by stream. */
  private readonly positions = new Map<string, string>();

  constructor(
    private readonly redis: Redis,
    private readonly shards: readonly ShardKeys[],
  ) {}

  async sweep(): Promise<void> {
    const tenants = await this.redis.hkeys(TENANTS_KEY);
    for (const shard of this.shards) {
      const { taskPrefix } = shard;
      const streams = [...allStreams(shard, 'recent', tenants), ...allStreams(shard, 'failures', tenants)];
      for (const stream of streams) {
        await this.walk(stream, taskPrefix, '-', 1);
        const position = this.positions.get(stream) ?? '-';
        this.positions.set(stream, await this.walk(stream, taskPrefix, position, MAX_IDLE_STEPS));
      }
    }
  }

  private async walk(stream: string, taskPrefix: string, from: string, maxIdleSteps: number): Promise<string> {
    let position = from;
    for (let step = 0, idle = 0; step < MAX_STEPS && idle < maxIdleSteps; step++) {
      const [last, seen, removed] = await sweepIndex.run(this.redis, [stream], [taskPrefix, position, IDS_PER_STEP]);
      if (seen === 0) return '-';
      position = last.toString();
      if (removed < seen / 2) idle++;
    }
    return position;
  }
}
