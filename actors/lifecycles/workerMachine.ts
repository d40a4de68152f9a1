import { assign, setup, type StateValueFrom } from 'xstate';

export interface WorkerTimings {
  /** Silence after which a worker is suspect. */
  suspectAfterMs: number;
  /** Silence, counted from the last heartbeat, after which it is lost. */
  lostAfterMs: number;
}

/**
 * The life of a worker as its observer sees it: the dispatcher has one for each connected worker, the monitor one for each
 * worker of the platform.
 *
 * - `joining`: has said hello; what it still holds is being reconciled with Redis
 * - `ready`: idle, may be given work
 * - `busy`: has work
 * - `suspect`: missed heartbeats; keeps its work, is given no more
 * - `draining`: finishes what it runs, takes nothing new
 * - `lost`: silent for too long; its work is taken away
 * - `gone`: said goodbye
 *
 * Every sign of life starts the silence timers anew. A worker that comes back after it was lost joins as a new one.
 */
export const workerMachine = setup({
  types: {
    context: {} as WorkerTimings & { hasWork: boolean },
    input: {} as WorkerTimings,
    events: {} as WorkerEvent,
  },
  guards: {
    hasWork: ({ context }) => context.hasWork,
    saysWork: ({ event }) => event.type === 'worker.beat' && event.hasWork,
  },
  actions: {
    noteWork: assign({ hasWork: (_, hasWork: boolean) => hasWork }),
    noteBeat: assign({
      hasWork: ({ event, context }) => (event.type === 'worker.beat' ? event.hasWork : context.hasWork),
    }),
  },
  delays: {
    suspectAfter: ({ context }) => context.suspectAfterMs,
    lostAfter: ({ context }) => context.lostAfterMs,
    lostAfterSuspect: ({ context }) => context.lostAfterMs - context.suspectAfterMs,
  },
}).createMachine({
  id: 'worker',
  // The fallbacks serve tools that walk the machine without an input.
  context: ({ input }: { input?: WorkerTimings }) => ({
    suspectAfterMs: input?.suspectAfterMs ?? 2_000,
    lostAfterMs: input?.lostAfterMs ?? 3_000,
    hasWork: false,
  }),
  initial: 'joining',
  states: {
    joining: {
      on: {
        'worker.joined': [{ guard: 'hasWork', target: 'busy' }, { target: 'ready' }],
        'worker.assigned': { actions: { type: 'noteWork', params: true } },
        'worker.left': 'gone',
        'worker.lost': 'lost',
      },
      after: { lostAfter: 'lost' },
    },
    ready: {
      on: {
        'worker.assigned': { target: 'busy', actions: { type: 'noteWork', params: true } },
        'worker.beat': [
          { guard: 'saysWork', target: 'busy', actions: 'noteBeat' },
          { target: 'ready', reenter: true },
        ],
        'worker.draining': 'draining',
        'worker.left': 'gone',
        'worker.lost': 'lost',
      },
      after: { suspectAfter: 'suspect' },
    },
    busy: {
      on: {
        'worker.idled': { target: 'ready', actions: { type: 'noteWork', params: false } },
        'worker.beat': [
          { guard: 'saysWork', target: 'busy', reenter: true },
          { target: 'ready', actions: 'noteBeat' },
        ],
        'worker.draining': 'draining',
        'worker.left': 'gone',
        'worker.lost': 'lost',
      },
      after: { suspectAfter: 'suspect' },
    },
    suspect: {
      on: {
        'worker.assigned': { actions: { type: 'noteWork', params: true } },
        'worker.idled': { actions: { type: 'noteWork', params: false } },
        'worker.beat': [
          { guard: 'saysWork', target: 'busy', actions: 'noteBeat' },
          { target: 'ready', actions: 'noteBeat' },
        ],
        'worker.draining': 'draining',
        'worker.left': 'gone',
        'worker.lost': 'lost',
      },
      after: { lostAfterSuspect: 'lost' },
    },
    draining: {
      on: {
        'worker.beat': { target: 'draining', reenter: true },
        'worker.left': 'gone',
        'worker.lost': 'lost',
      },
      after: { lostAfter: 'lost' },
    },
    lost: { type: 'final' },
    gone: { type: 'final' },
  },
});

export type WorkerEvent =
  /** What it held is reconciled: it may be given work. */
  | { type: 'worker.joined' }
  /** It was given its first work. */
  | { type: 'worker.assigned' }
  /** Its last work is done. */
  | { type: 'worker.idled' }
  /** A sign of life. */
  | { type: 'worker.beat'; hasWork: boolean }
  /** It takes no more. */
  | { type: 'worker.draining' }
  /** It said goodbye. */
  | { type: 'worker.left' }
  /** Somebody else knows that it is lost. */
  | { type: 'worker.lost' };

export type WorkerState = StateValueFrom<typeof workerMachine>;
