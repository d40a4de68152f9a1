import { expect } from 'chai';
import { createActor, transition } from 'xstate';
import { getShortestPaths, getSimplePaths } from 'xstate/graph';
import {
  type ComponentEvent,
  componentMachine,
  type ComponentState,
} from '../../actors/lifecycles/componentMachine.js';

const EVENTS: ComponentEvent[] = [
  { type: 'component.started' },
  { type: 'dependency.lost', dependency: 'redis' },
  { type: 'dependency.lost', dependency: 'nats' },
  { type: 'dependency.restored', dependency: 'redis' },
  { type: 'dependency.restored', dependency: 'nats' },
  { type: 'component.draining' },
  { type: 'component.stopped' },
];
const STATES: ComponentState[] = ['starting', 'running', 'degraded', 'draining', 'stopped'];
const options = {
  events: EVENTS,
  filterEvents: (state: { can: (event: ComponentEvent) => boolean }, event: ComponentEvent) => state.can(event),
  // What is away matters, in which order it went does not.
  serializeState: ({ value, context }: { value: ComponentState; context: { away: string[] } }) =>
    `${value} ${[...context.away].sort().join()}`,
};

describe('the component machine', () => {
  const shortest = getShortestPaths(componentMachine, options);

  it('reaches each of its states, with each combination of what can be away', () => {
    const reached = shortest.map(({ state }) => options.serializeState(state));
    const combinations = ['', 'nats', 'redis', 'nats,redis'];
    for (const away of combinations) {
      for (const state of ['starting', 'draining', 'stopped']) expect(reached).to.include(`${state} ${away}`);
    }
    expect(reached).to.include('running ');
    for (const away of combinations.slice(1)) expect(reached).to.include(`degraded ${away}`);
    expect(reached).to.have.length(16);
  });

  for (const { state, steps } of shortest) {
    const way = steps
      .map(({ event }) => ('dependency' in event ? `${event.type}(${event.dependency})` : event.type))
      .join(', ');
    it(`walks to ${options.serializeState(state).trim()} by ${way}`, () => {
      const actor = createActor(componentMachine).start();
      for (const step of steps.slice(1)) {
        actor.send(step.event);
        expect(actor.getSnapshot().value).to.equal(step.state.value);
      }
      expect(actor.getSnapshot().context.away).to.have.members(state.context.away);
      actor.stop();
    });
  }

  it('changes its state in these ways only', () => {
    const taken = new Set<string>();
    for (const { steps } of getSimplePaths(componentMachine, options)) {
      for (const [index, { event, state }] of steps.slice(1).entries()) {
        const from = steps[index]!.state.value;
        if (from !== state.value) taken.add(`${from} ${event.type} ${state.value}`);
      }
    }
    expect([...taken].sort()).to.deep.equal(
      [
        'starting component.started running',
        'starting component.started degraded',
        'starting component.stopped stopped',
        'running dependency.lost degraded',
        'running component.draining draining',
        'running component.stopped stopped',
        'degraded dependency.restored running',
        'degraded component.draining draining',
        'degraded component.stopped stopped',
        'draining component.stopped stopped',
      ].sort(),
    );
  });

  it('runs exactly when nothing is away, degraded when something is, in every serving state', () => {
    for (const { steps } of getSimplePaths(componentMachine, options)) {
      for (const { state } of steps) {
        if (state.value === 'running') expect(state.context.away).to.deep.equal([]);
        if (state.value === 'degraded') expect(state.context.away).not.to.deep.equal([]);
      }
    }
  });

  it('is final when stopped, and only then', () => {
    for (const state of STATES)
      expect(componentMachine.states[state]!.type === 'final', state).to.equal(state === 'stopped');
  });
});

describe('a component that loses what it needs', () => {
  const after = (...events: ComponentEvent[]): { state: ComponentState; away: string[] } => {
    let snapshot = componentMachine.resolveState({ value: 'starting', context: { away: [] } });
    for (const event of events) [snapshot] = transition(componentMachine, snapshot, event);
    return { state: snapshot.value, away: snapshot.context.away };
  };
  const started: ComponentEvent = { type: 'component.started' };
  const lost = (dependency: string): ComponentEvent => ({ type: 'dependency.lost', dependency });
  const restored = (dependency: string): ComponentEvent => ({ type: 'dependency.restored', dependency });

  it('is degraded until the last of several is back', () => {
    const events = [started, lost('redis'), lost('nats'), lost('dispatcher'), restored('nats')];
    expect(after(...events)).to.deep.equal({ state: 'degraded', away: ['redis', 'dispatcher'] });
    expect(after(...events, restored('redis')).state).to.equal('degraded');
    expect(after(...events, restored('redis'), restored('dispatcher'))).to.deep.equal({ state: 'running', away: [] });
  });

  it('counts one that is reported lost twice once', () => {
    expect(after(started, lost('redis'), lost('redis'), restored('redis'))).to.deep.equal({
      state: 'running',
      away: [],
    });
  });

  it('does not run because something came back that was never away', () => {
    expect(after(started, lost('redis'), restored('nats')).state).to.equal('degraded');
    expect(after(started, restored('nats')).state).to.equal('running');
  });

  it('starts degraded when something was away from the beginning', () => {
    expect(after(lost('nats'), started).state).to.equal('degraded');
    expect(after(lost('nats'), restored('nats'), started).state).to.equal('running');
  });

  it('goes on draining whatever comes and goes', () => {
    const draining: ComponentEvent = { type: 'component.draining' };
    expect(after(started, draining, lost('redis'), restored('redis')).state).to.equal('draining');
    expect(after(started, lost('redis'), draining, restored('redis')).state).to.equal('draining');
  });
});
