import {
  type Actor,
  type ActorOptions,
  type AnyStateMachine,
  createActor,
  type InputFrom,
  type SnapshotFrom,
} from 'xstate';
import type { MachineName, TransitionDetails, TransitionLog } from '../../bus/transitionLog.js';
import type { Clock } from '../clock.js';

export interface RunOptions {
  machine: MachineName;
  id: string;
  transition: TransitionLog;
  clock: Clock;
  /** What explains a transition; asked for each one that is logged. */
  details?: () => TransitionDetails;
}

/**
 * Starts a worker or component machine whose every change of state is logged. Transitions are taken from the inspection API,
 * so that eventless and delayed ones are seen as well.
 */
export function runMachine<M extends AnyStateMachine>(machine: M, options: RunOptions, input?: InputFrom<M>): Actor<M> {
  let previous = '';
  // The machines here need no options beyond these, which the generic signature cannot know.
  const create = createActor as (logic: M, actorOptions: ActorOptions<M>) => Actor<M>;
  const actor = create(machine, {
    ...(input !== undefined && { input }),
    clock: {
      setTimeout: (action: () => void, delayMs: number) => options.clock.setTimeout(action, delayMs),
      clearTimeout: (timer: unknown) => {
        options.clock.clearTimeout(timer);
      },
    },
    inspect: (inspected) => {
      if (inspected.type !== '@xstate.microstep') return;
      const state = String((inspected.snapshot as SnapshotFrom<AnyStateMachine>).value);
      if (state === previous) return;
      const from = previous;
      previous = state;
      if (from !== '')
        options.transition(
          options.machine,
          options.id,
          from,
          readable(inspected.event.type),
          state,
          options.details?.(),
        );
    },
  });
  previous = String((actor.getSnapshot() as SnapshotFrom<AnyStateMachine>).value);
  actor.start();
  return actor;
}

/** `xstate.after.suspectAfter.worker.ready` says little to a reader of the log. */
function readable(eventType: string): string {
  return eventType.startsWith('xstate.after.') ? 'heartbeat.missed' : eventType;
}
