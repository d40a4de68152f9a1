import type { Redis } from 'ioredis';
import type { Page, Submission, TaskCounts, TaskLists, TaskQuery, TaskSummary } from '../taskLists.js';
import { type FunctionRecord, isTerminal, type TaskRecord } from '../taskStore.js';
import { type Asker, laneOf } from '../tenants.js';
import { readFunctions } from './functionRecords.js';
import { functionsAfter } from './functionLists.js';
import { PRIORITIES } from './keys.js';
import { byTimeThenId, parsePlace, parseTimed, placeCursor, timedCursor } from './listCursors.js';
import { Script } from './script.js';
import { guarded, MAX_BATCH, Shards } from './shards.js';
import { countTasks } from './taskCounts.js';
import { type IndexedTask, type IndexName, newestFirst } from './taskIndex.js';
import { parseSubmission, SUBMISSION_FIELDS } from './taskExtras.js';
import { parseSummary, SUMMARY_FIELDS } from './taskRecord.js';

/** Tasks that one request looks at, whether they match or not. */
const MAX_EXAMINED = 10_000;
const scripts = {
  readSummaries: new Script<((Buffer | null)[] | null)[]>('readSummaries', 'tenant'),
  noteRunAgain: new Script<(Buffer | null)[]>('noteRunAgain', 'tenant'),
};
const itself = (taskId: string): string => taskId;

/** Most entries looked through for one task: about a millisecond. */
const MAX_AHEAD = 100_000;

/** Lists on Redis: from the index streams (`taskIndex.ts`), and of running tasks from their leases. */
export class RedisTaskLists implements TaskLists {
  private readonly shards: Shards;

  constructor(
    private readonly redis: Redis,
    options: { shards: number },
  ) {
    this.shards = new Shards(options.shards);
  }

  async listTasks(query: TaskQuery, asker?: Asker): Promise<Page<TaskSummary>> {
    const { taskIds, states, failureType } = query;
    if (taskIds) return { items: (await this.summaries(taskIds, query, asker)).filter((task) => task !== undefined) };
    if (failureType === undefined && states?.length === 1 && states[0] === 'running')
      return this.listRunning(query, asker);
    const ended = states?.every((state) => state === 'failed' || state === 'cancelled') ?? false;
    const index = failureType !== undefined || ended ? 'failures' : 'recent';
    if (index === 'recent' && asker === undefined && (await this.isVain(query))) return { items: [] };
    return this.listIndexed(index, query, asker);
  }

  async listFunctions(limit: number, cursor?: string, asker?: Asker): Promise<Page<FunctionRecord>> {
    const after = cursor === undefined ? undefined : parseTimed('functions', cursor);
    const found = await guarded(() => functionsAfter(this.redis, after, limit + 1, asker));
    const page = found.slice(0, limit);
    const records = await guarded(() =>
      readFunctions(
        this.redis,
        page.map(({ id }) => id),
      ),
    );
    const items = records.filter((record) => record !== undefined);
    const last = page.at(-1);
    return found.length > limit && last ? { items, cursor: timedCursor('functions', last) } : { items };
  }

  countTasks(): Promise<TaskCounts> {
    return countTasks(this.redis, this.shards);
  }

  async countAhead({
    taskId,
    priority,
    requirement,
    tenant,
  }: Pick<TaskRecord, 'taskId' | 'priority' | 'requirement' | 'tenant'>): Promise<number | undefined> {
    return guarded(async () => {
      const queue = this.shards.of(taskId).queues[PRIORITIES.indexOf(priority)] as string;
      const lane = laneOf(tenant, requirement);
      const list = lane === '' ? queue : `${queue}:${lane}`;
      // From the claiming end.
      const [place, length] = await Promise.all([
        this.redis.lpos(list, taskId, 'RANK', -1, 'MAXLEN', MAX_AHEAD),
        this.redis.llen(list),
      ]);
      return place === null ? undefined : Math.max(0, length - 1 - place);
    });
  }

  async readSubmissions(taskIds: string[], asker?: Asker): Promise<(Submission | undefined)[]> {
    return guarded(() =>
      Promise.all(
        taskIds.map(async (taskId) =>
          parseSubmission(await this.redis.hmgetBuffer(this.shards.taskKey(taskId), ...SUBMISSION_FIELDS), asker),
        ),
      ),
    );
  }

  readTraces(taskIds: readonly string[]): Promise<({ trace: string; submittedAtMs: number } | undefined)[]> {
    return guarded(() =>
      Promise.all(
        taskIds.map(async (taskId) => {
          const key = this.shards.taskKey(taskId);
          const [trace, submitted, history] = await this.redis.hmget(key, 'trace', 'submitted', 'history');
          // Both begin with a time.
          return trace ? { trace, submittedAtMs: Number.parseInt(submitted ?? history ?? '0', 10) } : undefined;
        }),
      ),
    );
  }

  async noteRunAgain(
    notes: { taskId: string; newTaskId: string }[],
    once: boolean,
    asker?: Asker,
  ): Promise<(string | undefined)[]> {
    return this.shards.forEach(
      notes,
      ({ taskId }) => taskId,
      async (shard, batch) => {
        const pairs = batch.flatMap(({ taskId, newTaskId }) => [taskId, newTaskId]);
        const args = [shard.taskPrefix, once ? '1' : '', asker ?? '', ...pairs];
        const noted = await scripts.noteRunAgain.run(this.redis, [shard.leases], args);
        return noted.map((id) => id?.toString());
      },
    );
  }

  /** Nothing can match: said at once, where a look through all tasks would say it late. */
  private async isVain({ states }: TaskQuery): Promise<boolean> {
    if (!states || states.some((state) => isTerminal(state) || state === 'running')) return false;
    const { queued, delayed, retrying, blocked } = await this.countTasks();
    return queued.high + queued.normal + queued.low + delayed + retrying + blocked === 0;
  }

  private async listIndexed(index: IndexName, query: TaskQuery, asker: Asker): Promise<Page<TaskSummary>> {
    const { limit, cursor, failureType } = query;
    const items: TaskSummary[] = [];
    let last = cursor === undefined ? undefined : parsePlace(index, cursor);
    const isFiltered = query.states !== undefined || query.functionId !== undefined || failureType !== undefined;
    const source = newestFirst(this.redis, this.shards.all, index, last, asker);
    // Under a filter that most match little is read for nothing; under one that few match soon much at once.
    for (let examined = 0, most = Math.min(MAX_BATCH, limit); examined < MAX_EXAMINED;) {
      const batch = await guarded(() => take(source, most));
      examined += batch.length;
      const wanted = batch.filter((task) => failureType === undefined || task.failureType === failureType);
      const summaries = await this.summaries(
        wanted.map(({ taskId }) => taskId),
        query,
        asker,
      );
      for (const [place, summary] of summaries.entries()) {
        if (!summary) continue;
        items.push(summary);
        last = wanted[place]?.place;
        if (items.length === limit && last) return { items, cursor: placeCursor(index, last) };
      }
      if (batch.length < most) return { items };
      last = batch.at(-1)?.place;
      most = isFiltered ? Math.min(MAX_BATCH, most * 2) : Math.min(MAX_BATCH, limit - items.length);
    }
    return last ? { items, cursor: placeCursor(index, last) } : { items };
  }

  /** Those with a lease: few, as many as there are slots and a little more. Read all for each page, since leases have no lasting order. */
  private async listRunning(query: TaskQuery, asker: Asker): Promise<Page<TaskSummary>> {
    const { limit, cursor } = query;
    const after = cursor === undefined ? undefined : parseTimed('running', cursor);
    const ids = await guarded(() =>
      Promise.all(this.shards.all.map(({ leases }) => this.redis.zrange(leases, '0', String(MAX_EXAMINED - 1)))),
    );
    const found = (await this.summaries(ids.flat(), query, asker))
      .filter((summary) => summary !== undefined)
      .map((summary) => ({ summary, ms: summary.queuedAtMs, id: summary.taskId }))
      .filter((place) => !after || byTimeThenId(after, place) < 0)
      .sort(byTimeThenId);
    const items = found.slice(0, limit).map(({ summary }) => summary);
    const last = found[limit - 1];
    return found.length > limit && last ? { items, cursor: timedCursor('running', last) } : { items };
  }

  private summaries(
    taskIds: string[],
    { states, functionId }: TaskQuery,
    asker: Asker,
  ): Promise<(TaskSummary | undefined)[]> {
    const wanted = states ? ` ${states.join(' ')} ` : '';
    return this.shards.forEach(taskIds, itself, async (shard, batch) => {
      const filter = [shard.taskPrefix, wanted, functionId ?? '', asker ?? ''];
      const args = [...filter, SUMMARY_FIELDS.length, ...SUMMARY_FIELDS, ...batch];
      const tasks = await scripts.readSummaries.run(this.redis, [shard.leases], args);
      return batch.map((taskId, index) => parseSummary(taskId, tasks[index] ?? undefined));
    });
  }
}

async function take(source: AsyncGenerator<IndexedTask>, count: number): Promise<IndexedTask[]> {
  const taken: IndexedTask[] = [];
  while (taken.length < count) {
    const next = await source.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}
