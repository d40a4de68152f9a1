import type { Redis } from 'ioredis';
import { type Asker, OTHERS, tenantSuffix } from '../tenants.js';
import type { ShardKeys } from './keys.js';

/**
 * The index streams of tasks, read backwards.
 *
 * An entry of `recent` is a batch of accepted tasks: their ids, joined. One of `failures` is a batch of tasks that have failed or were
 * cancelled: ids with the failure's type behind each, separated by spaces. An entry costs its batch one command. A stream rather than a
 * list, because its entries have ids: places that stay the same while entries come in front and go at the end.
 *
 * The streams of a shard are those of the tenant `default`, as ever; each other tenant has its own, and what those have together is
 * in one more, for who may see all.
 */
export type IndexName = 'recent' | 'failures';

/** An id in an index, and its place: the list is ordered by time, entry, shard, position, each the other way round. */
export interface IndexedTask {
  taskId: string;
  /** Of `failures`, '' in `recent`. */
  failureType: string;
  place: Place;
}

export interface Place {
  entryMs: number;
  entrySequence: number;
  shard: number;
  /** Within its entry, from the first. */
  position: number;
}

const ID_LENGTH = 36;
/** What one read brings, about. */
const IDS_PER_READ = 1_000;
const MAX_ENTRIES_PER_READ = 500;

/** Added to the number of a shard in places in the stream that all tenants but `default` have together. */
const OTHERS_PLACE = 5_000;

interface IndexStream {
  key: string;
  place: number;
}

/** What who asks may see, of one shard. */
function streamsFor({ index: place, ...keys }: ShardKeys, index: IndexName, asker: Asker): IndexStream[] {
  const own = { key: keys[index] + tenantSuffix(asker), place };
  return asker === undefined ? [own, { key: keys[index] + tenantSuffix(OTHERS), place: place + OTHERS_PLACE }] : [own];
}

/** All streams of an index in a shard, given the tenants. */
export const allStreams = (keys: ShardKeys, index: IndexName, tenants: readonly string[]): string[] =>
  [undefined, OTHERS, ...tenants].map((tenant) => keys[index] + tenantSuffix(tenant));

/** The tasks of an index behind a place, newest first, over all shards. Reads as it goes, so it costs what is taken of it. */
export async function* newestFirst(
  redis: Redis,
  shards: readonly ShardKeys[],
  index: IndexName,
  after: Place | undefined,
  asker?: Asker,
): AsyncGenerator<IndexedTask> {
  const streams = shards.flatMap((shard) => streamsFor(shard, index, asker));
  const readers = streams.map((stream) => new StreamReader(redis, stream, index, after));
  for (;;) {
    let next: StreamReader | undefined;
    for (const reader of readers) {
      if (!reader.head) await reader.fill();
      if (reader.head && (!next?.head || isNewer(reader.head.place, next.head.place))) next = reader;
    }
    const task = next?.take();
    if (!task) return;
    yield task;
  }
}

/** One stream of an index. */
class StreamReader {
  /** Oldest first: taken from the end. */
  private tasks: IndexedTask[] = [];
  private end: string;
  private isDone = false;
  private entriesPerRead = 16;

  constructor(
    private readonly redis: Redis,
    private readonly stream: IndexStream,
    private readonly index: IndexName,
    private readonly after: Place | undefined,
  ) {
    // The entry of the place itself may have more.
    this.end = after ? `${after.entryMs}-${after.entrySequence}` : '+';
  }

  get head(): IndexedTask | undefined {
    return this.tasks.at(-1);
  }

  take(): IndexedTask | undefined {
    return this.tasks.pop();
  }

  async fill(): Promise<void> {
    while (this.tasks.length === 0 && !this.isDone) {
      const entries = await this.redis.xrevrange(this.stream.key, this.end, '-', 'COUNT', this.entriesPerRead);
      this.isDone = entries.length < this.entriesPerRead;
      const tasks = entries.toReversed().flatMap(([id, [, text = '']]) => this.parse(id, text));
      const last = entries.at(-1);
      if (last) this.end = `(${last[0]}`;
      this.tasks = this.after ? tasks.filter(({ place }) => isNewer(this.after as Place, place)) : tasks;
      const perEntry = tasks.length / Math.max(1, entries.length);
      this.entriesPerRead = Math.min(
        MAX_ENTRIES_PER_READ,
        Math.max(1, Math.ceil(IDS_PER_READ / Math.max(1, perEntry))),
      );
    }
  }

  private parse(entryId: string, text: string): IndexedTask[] {
    const [entryMs = 0, entrySequence = 0] = entryId.split('-').map(Number);
    const items = this.index === 'failures' ? text.split(' ') : pieces(text, ID_LENGTH);
    return items.map((item, position) => ({
      taskId: item.slice(0, ID_LENGTH),
      failureType: item.slice(ID_LENGTH),
      place: { entryMs, entrySequence, shard: this.stream.place, position },
    }));
  }
}

function pieces(text: string, length: number): string[] {
  return Array.from({ length: text.length / length }, (_, index) => text.slice(index * length, (index + 1) * length));
}

function isNewer(a: Place, b: Place): boolean {
  return (
    (a.entryMs - b.entryMs || a.entrySequence - b.entrySequence || a.shard - b.shard || a.position - b.position) > 0
  );
}
