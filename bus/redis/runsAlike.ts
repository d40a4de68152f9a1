import type { NewTask } from '../taskStore.js';
import { taskExtras } from './taskExtras.js';

/** Neighbours that differ in nothing but id and arguments: what they share is sent once. */
export function runsAlike(tasks: readonly NewTask[]): NewTask[][] {
  const runs: NewTask[][] = [];
  let run: NewTask[] = [];
  for (const task of tasks) {
    if (run.length === 0 || !isAlike(run[0] as NewTask, task)) runs.push((run = []));
    run.push(task);
  }
  return runs;
}

const isAlike = (a: NewTask, b: NewTask): boolean =>
  a.functionId === b.functionId &&
  a.priority === b.priority &&
  a.maxAttempts === b.maxAttempts &&
  a.timeoutMs === b.timeoutMs &&
  a.isolation === b.isolation &&
  a.delayMs === b.delayMs &&
  a.requirement === b.requirement &&
  a.tenant === b.tenant &&
  a.request === b.request &&
  taskExtras(a) === taskExtras(b);
