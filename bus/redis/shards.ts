import { asStoreError } from './connection.js';
import { shardKeys, type ShardKeys, shardOf } from './keys.js';

/** Largest batch of one script call: keeps Redis responsive, and Lua's `unpack` within its stack. */
export const MAX_BATCH = 500;

/** The shards of a platform, and how a batch is spread over them. */
export class Shards {
  readonly all: readonly ShardKeys[];

  constructor(count: number) {
    this.all = Array.from({ length: count }, (_, index) => shardKeys(index));
  }

  /** Undefined when there are several. */
  get only(): ShardKeys | undefined {
    return this.all.length === 1 ? this.all[0] : undefined;
  }

  of(taskId: string): ShardKeys {
    return this.all[shardOf(taskId, this.all.length)] as ShardKeys;
  }

  taskKey(taskId: string): string {
    return this.of(taskId).taskPrefix + taskId;
  }

  /**
   * Runs a step on the items of each shard, in batches, and puts the answers back into the order of the items.
   * @throws what `guarded` makes of the step's errors
   */
  async forEach<Item, Answer>(
    items: Item[],
    taskIdOf: (item: Item) => string,
    step: (shard: ShardKeys, batch: Item[]) => Promise<Answer[]>,
  ): Promise<Answer[]> {
    if (this.all.length === 1 && items.length <= MAX_BATCH) {
      return items.length === 0 ? [] : guarded(() => step(this.all[0] as ShardKeys, items));
    }
    const answers = new Array<Answer>(items.length);
    for (const shard of this.all) {
      const indexes = items.flatMap((item, index) => (this.of(taskIdOf(item)) === shard ? [index] : []));
      for (let start = 0; start < indexes.length; start += MAX_BATCH) {
        const chunk = indexes.slice(start, start + MAX_BATCH);
        const batch = chunk.map((index) => items[index] as Item);
        const verdicts = await guarded(() => step(shard, batch));
        chunk.forEach((index, position) => (answers[index] = verdicts[position] as Answer));
      }
    }
    return answers;
  }
}

/** @throws PlatformError STORE_UNAVAILABLE when Redis cannot be reached */
export async function guarded<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw asStoreError(error);
  }
}
