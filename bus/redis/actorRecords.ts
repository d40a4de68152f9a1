import type { Redis } from 'ioredis';
import type { DispatcherRecord, WorkerRecord } from '../taskStore.js';
import { DISPATCHERS_KEY, WORKERS_KEY } from './keys.js';
import { guarded } from './shards.js';

const NOTHING_SAID = { labels: [], warm: [], pythonImplementation: '' };

/** The part of the store that has what actors last said of themselves: hashes of name -> JSON. */
export class RedisActorRecords {
  constructor(protected readonly redis: Redis) {}

  writeWorkers(workers: WorkerRecord[]): Promise<void> {
    return this.write(WORKERS_KEY, new Map(workers.map((worker) => [worker.name, worker])));
  }

  forgetWorkers(names: string[]): Promise<void> {
    return this.forget(WORKERS_KEY, names);
  }

  async readWorkers(): Promise<WorkerRecord[]> {
    const workers = await this.read<WorkerRecord>(WORKERS_KEY);
    // What an earlier version has written has none of these.
    return workers.map((worker) => ({ ...NOTHING_SAID, ...worker }));
  }

  writeDispatcher(dispatcher: DispatcherRecord): Promise<void> {
    return this.write(DISPATCHERS_KEY, new Map([[dispatcher.id, dispatcher]]));
  }

  forgetDispatchers(ids: string[]): Promise<void> {
    return this.forget(DISPATCHERS_KEY, ids);
  }

  readDispatchers(): Promise<DispatcherRecord[]> {
    return this.read(DISPATCHERS_KEY);
  }

  private async write(key: string, records: ReadonlyMap<string, object>): Promise<void> {
    if (records.size === 0) return;
    const fields = [...records].flatMap(([name, record]) => [name, JSON.stringify(record)]);
    await guarded(() => this.redis.hset(key, ...fields));
  }

  private async forget(key: string, names: readonly string[]): Promise<void> {
    if (names.length > 0) await guarded(() => this.redis.hdel(key, ...names));
  }

  private async read<Record>(key: string): Promise<Record[]> {
    const values = await guarded(() => this.redis.hvals(key));
    return values.map((value) => JSON.parse(value) as Record);
  }
}
