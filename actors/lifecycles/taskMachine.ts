import { setup, type StateValueFrom } from 'xstate';

/**
 * The life of a task. The machine is the definition: the Lua scripts enforce it in Redis, `taskTransitions.ts` answers from it
 * on the hot path, and a spec walks every path of it against both.
 *
 * - `new`: minted by the API, not yet in Redis; no client has its id
 * - `blocked`: accepted, not to be run before the tasks that it depends on have completed
 * - `delayed`: accepted, not to be run before its time
 * - `queued`: waits for a dispatcher to claim it
 * - `running`: claimed under a lease and a fence; a worker has it, or is about to
 * - `retrying`: an attempt ended with an exception, and the task's retry policy grants another one after a back-off
 * - `completed`, `failed`, `cancelled`: ended, immutable
 *
 * An attempt that was interrupted (lost worker, crashed process) goes back into the queue while attempts last; those that the retry
 * policy followed by another are not counted there. One that was released had not started and is not counted either.
 */
export const taskMachine = setup({
  types: { events: {} as TaskEvent },
  guards: {
    isBlocked: ({ event }) => event.type === 'task.submitted' && event.blocked,
    isDelayed: ({ event }) => 'delayed' in event && event.delayed,
    hasAttemptsLeft: ({ event }) => 'attemptsLeft' in event && event.attemptsLeft,
  },
}).createMachine({
  id: 'task',
  initial: 'new',
  states: {
    new: {
      on: {
        'task.submitted': [
          { guard: 'isBlocked', target: 'blocked' },
          { guard: 'isDelayed', target: 'delayed' },
          { target: 'queued' },
        ],
      },
    },
    blocked: {
      on: {
        'task.unblocked': [{ guard: 'isDelayed', target: 'delayed' }, { target: 'queued' }],
        'task.dependencyFailed': 'failed',
        'task.cancelled': 'cancelled',
      },
    },
    delayed: {
      on: { 'task.due': 'queued', 'task.cancelled': 'cancelled' },
    },
    queued: {
      on: { 'task.claimed': 'running', 'task.cancelled': 'cancelled' },
    },
    running: {
      on: {
        'task.succeeded': 'completed',
        'task.raised': 'failed',
        'task.retried': 'retrying',
        'task.interrupted': [{ guard: 'hasAttemptsLeft', target: 'queued' }, { target: 'failed' }],
        'task.released': 'queued',
        'task.cancelled': 'cancelled',
      },
    },
    retrying: {
      on: { 'task.due': 'queued', 'task.cancelled': 'cancelled' },
    },
    completed: { type: 'final' },
    failed: { type: 'final' },
    cancelled: { type: 'final' },
  },
});

export type TaskEvent =
  /** Redis has the task; `blocked` when it depends on others, else `delayed` when it is not due yet. */
  | { type: 'task.submitted'; delayed: boolean; blocked: boolean }
  /** All that it depends on has completed; `delayed` when it is not due yet. */
  | { type: 'task.unblocked'; delayed: boolean }
  /** One that it depends on has failed, was cancelled, or is not there any more. */
  | { type: 'task.dependencyFailed' }
  /** Its delay or back-off is over. */
  | { type: 'task.due' }
  /** A dispatcher took it, with a new fence. */
  | { type: 'task.claimed' }
  /** The function returned. */
  | { type: 'task.succeeded' }
  /** The function raised, or its result could not be used: an answer, too. */
  | { type: 'task.raised' }
  /** The function raised, and the task's retry policy covers it and is not spent: no answer yet. */
  | { type: 'task.retried' }
  /** The worker or the process was lost under it. */
  | { type: 'task.interrupted'; attemptsLeft: boolean }
  /** Given back before it was started. */
  | { type: 'task.released' }
  /** Somebody asked for its end. */
  | { type: 'task.cancelled' };

export type TaskMachineState = StateValueFrom<typeof taskMachine>;
