/** Processes for tasks that want one of their own: one that has run nothing yet, and that is ended after them. */
import type { PoolTask } from './poolTask.js';
import type { PythonProcess } from './pythonProcess.js';
import type { WaitingTasks } from './waitingTasks.js';

const runsFresh = (process: PythonProcess): boolean => process.oldest()?.task.order.isolation === 'fresh';

/**
 * Gives tasks that want one a process that has run nothing, as long as they are the oldest and there are such.
 * @returns processes that are to be ended now, for such ones to take their places
 */
export function dispatchFresh(
  live: readonly PythonProcess[],
  queue: WaitingTasks,
  send: (process: PythonProcess, task: PoolTask) => void,
): PythonProcess[] {
  while (queue.isFreshNext) {
    const process = live.find(({ state, isUnused, reserved }) => state === 'ready' && isUnused && !reserved);
    const task = queue.fresh.peek();
    if (process === undefined || task === undefined) break;
    send(process, task);
    queue.fresh.shift();
    process.reserved = true;
  }
  return makeRoom(live, queue);
}

/**
 * Sees to it that unused processes will come for the tasks that wait for them: others take no more tasks, and are ended when they
 * have none left, for the pool to start new ones. As many as there are tasks, but one at a time while older ones wait for a warm process.
 * Returns those that can be ended now.
 */
function makeRoom(live: readonly PythonProcess[], { fresh, warm, isFreshNext }: WaitingTasks): PythonProcess[] {
  if (isFreshNext) {
    const coming = live.filter(
      (process) => process.state === 'starting' || (process.reserved && !runsFresh(process)),
    ).length;
    const wanted = warm.size === 0 ? fresh.size : 1;
    live
      .filter(({ state, reserved, isUnused }) => state === 'ready' && !reserved && !isUnused)
      .sort((a, b) => a.backlogUs - b.backlogUs)
      .slice(0, Math.max(0, wanted - coming))
      .forEach((process) => (process.reserved = true));
  }
  return live.filter((process) => process.state === 'ready' && process.reserved && process.outstandingCount === 0);
}
