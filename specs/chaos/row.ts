import { setTimeout as sleep } from 'node:timers/promises';
import type { SpecPlatform } from '../support/platform.js';
import type { Accepted } from './load.js';
import type { Fault, Row } from './fault.js';
import type { Scene } from './scene.js';
import { PATIENCE_MS, RECOVERY_MS } from './settings.js';

const TERMINAL = ['completed', 'failed', 'cancelled'];
/** Requests at once when the stories are read. */
const READERS = 8;
const AGAIN_MS = 100;

interface Story {
  status: string;
  history: { to: string }[];
  claimed_at_ms: number | null;
  finished_at_ms: number | null;
}

/** Looks at every accepted task: what its client got, what its record says, how often it started. */
export async function judge(fault: Fault, scene: Scene, healedAtMs: number): Promise<Row> {
  const { accepted } = scene.load;
  const stories = await readStories(scene, accepted);
  const starts = countStarts(scene);
  const good = accepted.filter(({ kind }) => kind === 'good');
  const severalEnds = accepted.filter((_, index) => ends(stories[index]) > 1).length;
  const isLost = ({ kind, status }: Accepted): boolean => status !== (kind === 'good' ? 'COMPLETED' : 'FAILED');
  const lost = accepted.filter((task, index) => isLost(task) || ends(stories[index]) === 0);
  const goodStarts = good.map(({ number }) => starts.get(number) ?? 0);
  const recoveryMs = recovery(accepted, stories, healedAtMs);
  const refused = refusedResults(scene);
  const row: Row = {
    fault: fault.name,
    accepted: accepted.length,
    completed: accepted.filter(({ status }) => status === 'COMPLETED').length,
    lost: lost.length,
    wrong: (await wrongResults(fault, scene, stories)) + severalEnds,
    starts: `${mean(goodStarts).toFixed(2)}/${Math.max(0, ...goodStarts)}`,
    ...refused,
    recoveryMs,
    orphans: scene.orphans().length,
    violations: [],
  };
  if (fault.startsOnce === true && goodStarts.some((count) => count > 1)) row.violations.push('a task started twice');
  if (goodStarts.includes(0)) row.violations.push('a task without a start');
  if (accepted.length === 0) row.violations.push('nothing was accepted');
  if (recoveryMs > (fault.recoveryMs ?? RECOVERY_MS))
    row.violations.push(`recovered after ${fault.recoveryMs ?? RECOVERY_MS} ms`);
  for (const task of lost.slice(0, 3)) {
    const story = stories[accepted.indexOf(task)];
    row.violations.push(`task ${task.id} ${task.status}: ${JSON.stringify(story ?? 'unknown')}`.slice(0, 1_500));
  }
  return row;
}

/** The counters that must be clean whatever the fault. */
export function finish(row: Row, leftProcesses: number): Row {
  const orphans = row.orphans + leftProcesses;
  const violations = [...row.violations];
  if (row.lost > 0) violations.push(`${row.lost} lost`);
  if (row.wrong > 0) violations.push(`${row.wrong} wrong`);
  if (orphans > 0) violations.push(`${orphans} orphan processes`);
  return { ...row, orphans, violations };
}

export function skippedRow(fault: string, skipped: string): Row {
  const nothing = { accepted: 0, completed: 0, lost: 0, wrong: 0, stale: 0, duplicate: 0, recoveryMs: 0, orphans: 0 };
  return { fault, ...nothing, starts: '', violations: [], skipped };
}

/** A run that had started before the task was last claimed was not that attempt's: its fence should have been refused. */
async function wrongResults(fault: Fault, scene: Scene, stories: readonly (Story | undefined)[]): Promise<number> {
  const completed = scene.load.accepted
    .map((task, index) => ({ task, claimedAtMs: fault.rollsBack === true ? 0 : (stories[index]?.claimed_at_ms ?? 0) }))
    .filter(({ task }) => task.kind === 'good' && task.status === 'COMPLETED');
  const startedAtMs = await scene.started(completed.map(({ task }) => [task.number, task.result]));
  return completed.filter(({ claimedAtMs }, index) => startedAtMs[index]! < Math.max(1, claimedAtMs)).length;
}

async function readStories({ platform }: Scene, tasks: readonly Accepted[]): Promise<(Story | undefined)[]> {
  const stories: (Story | undefined)[] = [];
  const deadlineMs = performance.now() + PATIENCE_MS;
  let next = 0;
  const reader = async (): Promise<void> => {
    for (let index = next++; index < tasks.length; index = next++) {
      stories[index] = await readStory(platform, tasks[index]!.id, deadlineMs);
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return stories;
}

/** Its end may have been taken back since the client saw it, where Redis lost the tail of its file: then it comes again. */
async function readStory(platform: SpecPlatform, id: string, deadlineMs: number): Promise<Story | undefined> {
  for (;;) {
    const { status, body } = await platform.call('GET', `/tasks/${id}`);
    const story = status === 200 ? (body as Story) : undefined;
    if (story === undefined || ends(story) > 0 || performance.now() > deadlineMs) return story;
    await sleep(AGAIN_MS);
  }
}

function countStarts(scene: Scene): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { number } of scene.starts()) counts.set(number, (counts.get(number) ?? 0) + 1);
  return counts;
}

const ends = (story: Story | undefined): number => story?.history.filter(({ to }) => TERMINAL.includes(to)).length ?? 0;

/** From the end of the fault until all that had been accepted by then has ended. */
function recovery(accepted: readonly Accepted[], stories: readonly (Story | undefined)[], healedAtMs: number): number {
  const endedAtMs = accepted.map(({ acceptedAtMs }, index) =>
    acceptedAtMs > healedAtMs ? healedAtMs : (stories[index]?.finished_at_ms ?? healedAtMs),
  );
  return Math.max(healedAtMs, ...endedAtMs) - healedAtMs;
}

/** Every dispatcher says in its log what it refused. */
function refusedResults(scene: Scene): { stale: number; duplicate: number } {
  const sum = { stale: 0, duplicate: 0 };
  for (const line of scene.dispatcherLogs().split('\n')) {
    if (!line.startsWith('{') || !line.includes('"stale":')) continue;
    const { stale, duplicate } = JSON.parse(line) as typeof sum;
    sum.stale += stale;
    sum.duplicate += duplicate;
  }
  return sum;
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
