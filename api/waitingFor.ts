import { type Static, Type } from '@fastify/type-provider-typebox';
import { needsOf, satisfies } from '../bus/requirement.js';
import type { DispatcherRecord, TaskRecord, WorkerRecord } from '../bus/taskStore.js';
import { capabilitiesOf } from './connectedWorkers.js';
import { isoTime } from './times.js';

export const WaitingFor = Type.Object({
  reason: Type.String({
    description:
      'no_dispatcher, no_worker, no_worker_with_labels, no_worker_with_python, behind_others, delayed, retrying or dependencies',
  }),
  text: Type.String({ description: 'In words' }),
  ahead: Type.Optional(Type.Integer({ description: 'Tasks before it in its queue' })),
  until: Type.Optional(Type.String({ description: 'When it may start' })),
  labels: Type.Optional(Type.Array(Type.String(), { description: 'That its worker must have' })),
  tasks: Type.Optional(
    Type.Array(Type.String(), { description: 'Ids of tasks that have to complete first, the first hundred' }),
  ),
});
export type WaitingFor = Static<typeof WaitingFor>;

/** Who could run it. Records that have not been written for long are left out by the caller. */
export interface Surroundings {
  workers: readonly WorkerRecord[];
  dispatchers: readonly DispatcherRecord[];
  /** Of a blocked task: ids of tasks it depends on that have not completed. */
  uncompleted?: readonly string[];
  /** Tasks before it in its queue; undefined when it is not there, or too far back to be found. */
  ahead: number | undefined;
}

/** Why a task does not run yet; null when it runs, or has ended. */
export function waitingFor(task: TaskRecord, around: Surroundings): WaitingFor | null {
  if (task.state === 'delayed' || task.state === 'retrying') return waitsForTime(task);
  if (task.state === 'blocked') return waitsForTasks(around.uncompleted ?? []);
  if (task.state !== 'queued') return null;
  if (around.dispatchers.length === 0) {
    return { reason: 'no_dispatcher', text: 'waits for a dispatcher: none is running' };
  }
  if (around.workers.length === 0) return { reason: 'no_worker', text: 'waits for a worker: none is connected' };
  return missingWorker(task, around.workers) ?? behindOthers(around);
}

const MAX_NAMED_TASKS = 100;

function waitsForTasks(taskIds: readonly string[]): WaitingFor {
  const [first] = taskIds;
  const others = taskIds.length === 2 ? '1 other' : `${taskIds.length - 1} others`;
  const more = taskIds.length > 1 ? ` and ${others}` : '';
  const text =
    first === undefined
      ? 'is about to start: the tasks it depends on have completed'
      : `waits for task ${first}${more} to complete`;
  return { reason: 'dependencies', text, tasks: taskIds.slice(0, MAX_NAMED_TASKS) };
}

function waitsForTime({ state, dueAtMs = Date.now() }: TaskRecord): WaitingFor {
  const until = isoTime(dueAtMs);
  return state === 'delayed'
    ? { reason: 'delayed', text: `is delayed until ${until}`, until }
    : { reason: 'retrying', text: `is tried again at ${until}`, until };
}

function missingWorker({ requirement = '' }: TaskRecord, workers: readonly WorkerRecord[]): WaitingFor | undefined {
  const { labels, python } = needsOf(requirement);
  const capable = workers.map(capabilitiesOf);
  const connected = workers.length === 1 ? '1 worker is connected' : `${workers.length} workers are connected`;
  const labelled = capable.filter((worker) => satisfies(worker, { labels, python: '' }));
  if (labelled.length === 0) {
    const missing = labels.filter((label) => !capable.some((worker) => worker.labels.includes(label)));
    const who = missing.length > 0 ? `none has ${missing.join(' or ')}` : 'none has all of them';
    const words = labels.length === 1 ? `the label ${labels.join()}` : `the labels ${labels.join(', ')}`;
    const text = `waits for a worker with ${words}: ${connected}, ${who}`;
    return { reason: 'no_worker_with_labels', text, labels: [...labels] };
  }
  if (labelled.some((worker) => satisfies(worker, { labels, python }))) return undefined;
  const have = [...new Set(labelled.map((worker) => worker.python))].join(', ');
  const text = `waits for a worker with ${python}: ${connected}, with ${have}`;
  return { reason: 'no_worker_with_python', text };
}

function behindOthers({ ahead }: Surroundings): WaitingFor {
  if (ahead === undefined) return { reason: 'behind_others', text: 'waits behind very many other tasks' };
  const others = ahead === 1 ? '1 other task' : `${ahead} other tasks`;
  const text =
    ahead === 0 ? 'is the next of its queue, and waits for a free slot' : `waits behind ${others} of its queue`;
  return { reason: 'behind_others', text, ahead };
}
