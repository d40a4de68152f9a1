import { assign, setup, type StateValueFrom } from 'xstate';

/**
 * The life of a process of the platform: API, dispatcher, worker, monitor.
 *
 * - `starting`: connecting, not yet serving
 * - `running`: serves, all it needs is there
 * - `degraded`: serves as well as it can while something it needs (Redis, NATS, a worker's dispatcher) is away
 * - `draining`: takes nothing new, finishes what it has
 * - `stopped`: done
 */
export const componentMachine = setup({
  types: { context: {} as { away: string[] }, events: {} as ComponentEvent },
  guards: {
    somethingIsAway: ({ context }) => context.away.length > 0,
    allIsBack: ({ context, event }) =>
      event.type === 'dependency.restored' && context.away.every((name) => name === event.dependency),
  },
  actions: {
    noteLost: assign({
      away: ({ context, event }) =>
        event.type === 'dependency.lost' && !context.away.includes(event.dependency)
          ? [...context.away, event.dependency]
          : context.away,
    }),
    noteRestored: assign({
      away: ({ context, event }) =>
        event.type === 'dependency.restored' ? context.away.filter((name) => name !== event.dependency) : context.away,
    }),
  },
}).createMachine({
  id: 'component',
  context: { away: [] },
  initial: 'starting',
  on: {
    'dependency.lost': { actions: 'noteLost' },
    'dependency.restored': { actions: 'noteRestored' },
  },
  states: {
    starting: {
      on: {
        'component.started': [{ guard: 'somethingIsAway', target: 'degraded' }, { target: 'running' }],
        'component.stopped': 'stopped',
      },
    },
    running: {
      on: {
        'dependency.lost': { target: 'degraded', actions: 'noteLost' },
        'component.draining': 'draining',
        'component.stopped': 'stopped',
      },
    },
    degraded: {
      on: {
        'dependency.restored': [
          { guard: 'allIsBack', target: 'running', actions: 'noteRestored' },
          { actions: 'noteRestored' },
        ],
        'component.draining': 'draining',
        'component.stopped': 'stopped',
      },
    },
    draining: {
      on: { 'component.stopped': 'stopped' },
    },
    stopped: { type: 'final' },
  },
});

export type ComponentEvent =
  /** It serves. */
  | { type: 'component.started' }
  /** Something it needs cannot be reached. */
  | { type: 'dependency.lost'; dependency: string }
  /** It can be reached again. */
  | { type: 'dependency.restored'; dependency: string }
  /** It was asked to stop. */
  | { type: 'component.draining' }
  /** It has let go of everything. */
  | { type: 'component.stopped' };

export type ComponentState = StateValueFrom<typeof componentMachine>;
