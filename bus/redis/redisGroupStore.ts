import type { Redis } from 'ioredis';
import type { GroupAddition, GroupPiece, GroupStore } from '../groupStore.js';
import { groupKey } from './keys.js';
import { Script } from './script.js';
import { guarded } from './shards.js';

/** Tasks wait for a worker for a while, and results are fetched a while after they came: groups stay this long beyond them. */
const WEEK_SECONDS = 7 * 86_400;
/** Ids read by one call: about 2 MB. */
const READ_IDS = 50_000;
const ID_LENGTH = 36;
/** Digits of the time before the ids. */
const TIME_LENGTH = 10;

const scripts = {
  append: new Script<number>('groupAppend'),
  read: new Script<[number, number, number, ...Buffer[]] | null>('groupRead'),
};

export class RedisGroupStore implements GroupStore {
  private readonly keepSeconds: number;

  constructor(
    private readonly redis: Redis,
    options: { resultTtlSeconds: number },
  ) {
    this.keepSeconds = options.resultTtlSeconds + WEEK_SECONDS;
  }

  async append(
    groupId: string,
    { taskIds, final, keepMs, once }: GroupAddition,
    tenant?: string,
  ): Promise<{ base: number }> {
    const keepSeconds = this.keepSeconds + Math.ceil(keepMs / 1000);
    const args = [taskIds.join(''), taskIds.length, keepSeconds, final ? '1' : '', once ?? ''];
    return { base: await guarded(() => scripts.append.run(this.redis, [groupKey(groupId, tenant)], args)) };
  }

  async read(groupId: string, from: number, tenant?: string): Promise<GroupPiece | undefined> {
    const answer = await guarded(() =>
      scripts.read.run(this.redis, [groupKey(groupId, tenant)], [from, READ_IDS, this.keepSeconds]),
    );
    if (answer === null) return undefined;
    const [total, closed, nowSeconds, ...additions] = answer;
    let base = from;
    const piece: GroupPiece = { total, closed: closed === 1, additions: [], more: false };
    for (const addition of additions) {
      const text = addition.toString('latin1');
      const taskIds: string[] = [];
      for (let at = TIME_LENGTH; at < text.length; at += ID_LENGTH) taskIds.push(text.slice(at, at + ID_LENGTH));
      piece.additions.push({ base, ageMs: (nowSeconds - Number(text.slice(0, TIME_LENGTH))) * 1000, taskIds });
      base += taskIds.length;
    }
    piece.more = base < total;
    return piece;
  }
}
