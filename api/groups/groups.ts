import { setTimeout as sleep } from 'node:timers/promises';
import type { SettledTask } from '../../bus/controlMessages.js';
import { PlatformError } from '../../bus/errors.js';
import type { GroupAddition, GroupStore } from '../../bus/groupStore.js';
import { OneWriter } from '../../bus/oneWriter.js';
import { isTerminal, type TaskState, type TaskStore } from '../../bus/taskStore.js';
import { type Ending, Group } from './group.js';
import { ExpectedTasks, type Expected } from './expectedTasks.js';

const READ_BATCH = 500;
const POLL_BATCH = 256;
/** Pause between two reads of one round of polling, so that a round over many ids leaves Redis and the process to others. */
const POLL_PAUSE_MS = 25;
const DEFAULT_POLL_MS = 1_000;
/** After so long an id that is in a group and not in the store will not come: its submission failed, or its result expired. */
const DEFAULT_UNKNOWN_AFTER_MS = 60_000;
/** Groups that nobody follows are remembered for what is known of their ends, up to so many, and so many ids: about 50 MB. */
const MAX_REMEMBERED_GROUPS = 1_000;
const MAX_REMEMBERED_IDS = 500_000;
const DEFAULT_MAX_EXPECTED = 1_000_000;

export interface GroupsOptions {
  store: Pick<TaskStore, 'readStatuses'>;
  groupStore: GroupStore;
  /** How long after its end a task is noticed at the latest, when no event told of it; the same for additions by other APIs. Default 1000. */
  pollMs?: number;
  /** Default 60,000. */
  unknownAfterMs?: number;
  /** Tasks that all streams together may expect when one more is opened. Default 1,000,000, about 200 MB. */
  maxExpected?: number;
}

/** A group with at least one stream. */
interface Following {
  streams: number;
  /** The first read of its states. */
  read: Promise<unknown>;
  /** The poll goes on at this position, at this time. */
  from: number;
  dueMs: number;
}

/**
 * Groups as this process knows them, and those it follows, because a stream is open.
 *
 * A group that is followed expects its tasks: from before they are written, so that no end falls between; their ends come with events,
 * and cost no read. A poll of the store finds what no event told of, ends and additions by other APIs, so that none of it is
 * needed to be right. Ids that were in the group before it was followed are read once.
 */
export class Groups {
  /** By tenant and id; used last at the end. */
  private readonly groups = new Map<string, Group>();
  private readonly followed = new Map<Group, Following>();
  private readonly expected = new ExpectedTasks();
  private readonly refreshes = new WeakMap<Group, Promise<unknown>>();
  /** Ended by an event that did not carry the result: not believed before the store says so. */
  private readonly checks: OneWriter<Expected>;
  private readonly pollMs: number;
  private readonly unknownAfterMs: number;
  private polling = false;
  private closed = false;

  constructor(private readonly options: GroupsOptions) {
    this.pollMs = options.pollMs ?? DEFAULT_POLL_MS;
    this.unknownAfterMs = options.unknownAfterMs ?? DEFAULT_UNKNOWN_AFTER_MS;
    this.checks = new OneWriter<Expected>((batch) => this.check(batch), {
      maxItems: READ_BATCH,
      onError: () => undefined, // The store is away; the poll finds these ends when it is back.
    });
  }

  /** Tasks whose ends are expected, for all streams together. */
  get expecting(): number {
    return this.expected.size;
  }

  /**
   * Adds tasks to a group, which is made if there is none. To be called before they are written, so that streams miss nothing.
   * @throws PlatformError STORE_UNAVAILABLE
   */
  async append(groupId: string, addition: GroupAddition, tenant?: string): Promise<void> {
    const { taskIds, final, once } = addition;
    const key = keyOf(groupId, tenant);
    const before = this.groups.get(key);
    // A repeated addition's tasks may have ended long ago; they are expected once their place is known.
    const early = before && this.followed.has(before) && once === undefined ? before : undefined;
    if (early) for (const taskId of taskIds) this.expected.add(taskId, early);
    let base: number;
    try {
      ({ base } = await this.options.groupStore.append(groupId, addition, tenant));
    } catch (error) {
      if (early) this.forgetExpected(early, taskIds);
      throw error;
    }
    if (early && !this.followed.has(early)) this.forgetExpected(early, taskIds);
    const group = this.groups.get(key); // A stream may have been opened meanwhile.
    if (!group) return;
    if (base > group.total) {
      await this.refresh(group);
    } else {
      if (base === group.total && taskIds.length > 0) this.grow(group, taskIds, performance.now());
      if (final) group.close();
    }
    if (early !== group && this.followed.has(group)) {
      // Nobody expected them when they were written: some may have ended already.
      taskIds.forEach((taskId, position) => {
        this.checks.push({ taskId, group, index: base + position });
      });
    }
  }

  /**
   * A group, with all that has been added to it before this call.
   * @throws PlatformError GROUP_UNKNOWN, STORE_UNAVAILABLE
   */
  async load(groupId: string, tenant?: string): Promise<Group> {
    const key = keyOf(groupId, tenant);
    const group = this.groups.get(key) ?? new Group(groupId, tenant);
    if (!(await this.refresh(group))) {
      throw new PlatformError('GROUP_UNKNOWN', `There is no group ${groupId}.`);
    }
    const loaded = this.groups.get(key) ?? group; // Two loads at once: one of them stays.
    this.groups.delete(key);
    this.groups.set(key, loaded);
    this.forgetOldGroups();
    return loaded;
  }

  /** Tasks that one request put together, followed like a group that is closed. @param hidden places of those that who asks may not see */
  adHoc(taskIds: readonly string[], hidden: readonly number[]): Group {
    const group = new Group(undefined);
    group.add(taskIds, -Infinity);
    // Ended before anybody follows: what events tell of them is not heard.
    for (const index of hidden) group.end(index, 'unknown');
    group.close();
    return group;
  }

  /**
   * Has the group learn of the ends of its tasks until `unfollow`; resolves when those that were before are known.
   * @throws PlatformError STORE_UNAVAILABLE, TOO_MANY_WAITS; then it does not follow
   */
  async follow(group: Group): Promise<void> {
    const following = this.followed.get(group) ?? this.beginToFollow(group);
    following.streams++;
    try {
      await following.read;
    } catch (error) {
      this.unfollow(group);
      throw error;
    }
  }

  private beginToFollow(group: Group): Following {
    if (this.expected.size + group.total - group.endedCount > (this.options.maxExpected ?? DEFAULT_MAX_EXPECTED)) {
      throw new PlatformError('TOO_MANY_WAITS', `Clients of this API already wait for ${this.expected.size} tasks.`);
    }
    if (group.groupId !== undefined) {
      const key = keyOf(group.groupId, group.tenant);
      if (!this.groups.has(key)) this.groups.set(key, group);
    }
    for (let index = 0; index < group.total; index++) {
      if (!group.hasEnded(index)) this.expected.add(group.taskIds[index] ?? '', group, index);
    }
    const dueMs = performance.now() + this.pollMs;
    const following: Following = { streams: 0, read: Promise.resolve(), from: 0, dueMs };
    this.followed.set(group, following);
    // Once more, for what was added since the group was loaded: from now on additions find it followed.
    following.read = this.refresh(group).then(() => this.readUnended(group));
    if (!this.polling) void this.poll();
    return following;
  }

  unfollow(group: Group): void {
    const following = this.followed.get(group);
    if (!following || --following.streams > 0) return;
    this.followed.delete(group);
    this.forgetExpected(group, group.taskIds);
    this.forgetOldGroups();
  }

  /** Tasks have ended. Those that no stream waits for cost one look into a map. */
  onSettled(tasks: readonly SettledTask[]): void {
    for (const task of tasks) {
      if (task.isHint) {
        for (const one of this.expected.get(task.taskId)) this.checks.push(one);
      } else {
        for (const { group, index } of this.expected.end(task)) group.end(index, task.state, task);
      }
    }
  }

  /**
   * The states of the tasks that have not ended; what turns out to have ended is recorded in the group.
   * @throws PlatformError STORE_UNAVAILABLE
   */
  async readUnended(group: Group): Promise<TaskState[]> {
    const states: TaskState[] = [];
    let from = 0;
    while (from < group.total) from = await this.readSome(group, from, READ_BATCH, states);
    return states;
  }

  close(): void {
    this.closed = true;
    this.checks.clear();
  }

  private forgetExpected(group: Group, taskIds: readonly string[]): void {
    for (const taskId of taskIds) this.expected.remove(taskId, group);
  }

  /** Answers where to go on. */
  private async readSome(group: Group, from: number, limit: number, open?: TaskState[]): Promise<number> {
    const { indexes, next } = group.unended(from, limit);
    if (indexes.length === 0) return next;
    const states = await this.options.store.readStatuses(indexes.map((index) => group.taskIds[index] ?? ''));
    indexes.forEach((index, position) => {
      const state = states[position];
      if (state === undefined) {
        if (performance.now() - group.addedAtMs(index) > this.unknownAfterMs) this.end(group, index, 'unknown');
      } else if (isTerminal(state)) this.end(group, index, state);
      else open?.push(state);
    });
    return next;
  }

  private end(group: Group, index: number, ending: Ending): void {
    this.expected.remove(group.taskIds[index] ?? '', group);
    group.end(index, ending);
  }

  private async check(batch: Expected[]): Promise<void> {
    const states = await this.options.store.readStatuses(batch.map(({ taskId }) => taskId));
    batch.forEach(({ group, index }, position) => {
      const state = states[position];
      if (index !== undefined && state !== undefined && isTerminal(state)) this.end(group, index, state);
    });
  }

  /** Takes over what was added in the store; false when the group is not there. One after the other for each group. */
  private refresh(group: Group): Promise<boolean> {
    const before = this.refreshes.get(group) ?? Promise.resolve();
    const refresh = before.catch(() => undefined).then(() => this.readAdditions(group));
    this.refreshes.set(group, refresh);
    return refresh;
  }

  private async readAdditions(group: Group): Promise<boolean> {
    if (group.groupId === undefined) return true;
    for (;;) {
      const piece = await this.options.groupStore.read(group.groupId, group.total, group.tenant);
      if (!piece) return false;
      for (const { base, ageMs, taskIds } of piece.additions) {
        // An addition of our own may have been faster.
        if (base === group.total) this.grow(group, taskIds, performance.now() - ageMs);
      }
      if (piece.more) continue;
      if (piece.closed) group.close();
      return true;
    }
  }

  private grow(group: Group, taskIds: readonly string[], addedAtMs: number): void {
    const base = group.total;
    group.add(taskIds, addedAtMs);
    if (!this.followed.has(group)) return;
    taskIds.forEach((taskId, position) => {
      const early = this.expected.place(taskId, group, base + position);
      if (early) group.end(base + position, early.state, early);
    });
  }

  private forgetOldGroups(): void {
    let ids = 0;
    for (const group of this.groups.values()) ids += group.total;
    for (const [key, group] of this.groups) {
      if (ids <= MAX_REMEMBERED_IDS && this.groups.size <= MAX_REMEMBERED_GROUPS) return;
      if (this.followed.has(group)) continue;
      this.groups.delete(key);
      ids -= group.total;
    }
  }

  /** Runs while a group is followed: looks for additions, then reads what has not ended, each group at its own pace. */
  private async poll(): Promise<void> {
    this.polling = true;
    while (!this.closed && this.followed.size > 0) {
      let nextMs = performance.now() + this.pollMs;
      for (const [group, following] of this.followed) {
        if (following.dueMs <= performance.now()) await this.pollOnce(group, following);
        nextMs = Math.min(nextMs, following.dueMs);
      }
      await sleep(Math.max(1, nextMs - performance.now()), undefined, { ref: false });
    }
    this.polling = false;
  }

  private async pollOnce(group: Group, following: Following): Promise<void> {
    try {
      if (following.from === 0) await this.refresh(group);
      following.from = await this.readSome(group, following.from, POLL_BATCH);
    } catch {
      following.from = 0; // The store is away; the next round tries again.
    }
    const roundEnds = following.from === 0 || following.from >= group.total;
    if (roundEnds) following.from = 0;
    // Many large groups share what one alone would have.
    following.dueMs = performance.now() + (roundEnds ? this.pollMs : POLL_PAUSE_MS * this.followed.size);
  }
}

const keyOf = (groupId: string, tenant: string | undefined): string =>
  tenant === undefined ? groupId : `${tenant}/${groupId}`;
