import { transition } from 'xstate';
import { TASK_STATES } from '../../../bus/taskStore.js';
import { type TaskEvent, taskMachine, type TaskMachineState } from '../../../actors/lifecycles/taskMachine.js';

/** Every event of the task machine, with every outcome of the guards that look at it. */
export const TASK_EVENTS: readonly TaskEvent[] = [
  { type: 'task.submitted', delayed: false, blocked: false },
  { type: 'task.submitted', delayed: true, blocked: false },
  { type: 'task.submitted', delayed: false, blocked: true },
  { type: 'task.unblocked', delayed: false },
  { type: 'task.unblocked', delayed: true },
  { type: 'task.dependencyFailed' },
  { type: 'task.due' },
  { type: 'task.claimed' },
  { type: 'task.succeeded' },
  { type: 'task.raised' },
  { type: 'task.retried' },
  { type: 'task.interrupted', attemptsLeft: true },
  { type: 'task.interrupted', attemptsLeft: false },
  { type: 'task.released' },
  { type: 'task.cancelled' },
];

export const ALL_TASK_STATES: readonly TaskMachineState[] = ['new', ...TASK_STATES];

/** What XState itself answers, without the memo. */
export function askMachine(state: TaskMachineState, event: TaskEvent): TaskMachineState | undefined {
  const snapshot = taskMachine.resolveState({ value: state });
  return snapshot.can(event) ? transition(taskMachine, snapshot, event)[0].value : undefined;
}

/** `task.interrupted(attemptsLeft)`: an event as a title of a spec. */
export function describeEvent(event: TaskEvent): string {
  const flag = Object.entries(event).find(([key, value]) => key !== 'type' && value === true);
  return flag ? `${event.type}(${flag[0]})` : event.type;
}
