import { expect } from 'chai';
import { getShortestPaths, getSimplePaths } from 'xstate/graph';
import { type TaskEvent, taskMachine, type TaskMachineState } from '../../actors/lifecycles/taskMachine.js';
import { nextTaskState } from '../../actors/lifecycles/taskTransitions.js';
import { isTerminal, TASK_STATES } from '../../bus/taskStore.js';
import { ALL_TASK_STATES, askMachine, describeEvent, TASK_EVENTS } from './support/taskEvents.js';

const options = {
  events: TASK_EVENTS,
  filterEvents: (state: { can: (e: TaskEvent) => boolean }, e: TaskEvent) => state.can(e),
};
const shortest = getShortestPaths(taskMachine, options);
const simple = getSimplePaths(taskMachine, options);

/** The machine as a table, written down a second time: whoever changes one has to change the other knowingly. */
const TABLE: Record<TaskMachineState, Record<string, TaskMachineState>> = {
  new: { 'task.submitted': 'queued', 'task.submitted(delayed)': 'delayed', 'task.submitted(blocked)': 'blocked' },
  blocked: {
    'task.unblocked': 'queued',
    'task.unblocked(delayed)': 'delayed',
    'task.dependencyFailed': 'failed',
    'task.cancelled': 'cancelled',
  },
  delayed: { 'task.due': 'queued', 'task.cancelled': 'cancelled' },
  queued: { 'task.claimed': 'running', 'task.cancelled': 'cancelled' },
  running: {
    'task.succeeded': 'completed',
    'task.raised': 'failed',
    'task.retried': 'retrying',
    'task.interrupted': 'failed',
    'task.interrupted(attemptsLeft)': 'queued',
    'task.released': 'queued',
    'task.cancelled': 'cancelled',
  },
  retrying: { 'task.due': 'queued', 'task.cancelled': 'cancelled' },
  completed: {},
  failed: {},
  cancelled: {},
};

describe('the task machine', () => {
  it('has the states of the store, and `new` before the first', () => {
    expect(Object.keys(taskMachine.states)).to.have.members(['new', ...TASK_STATES]);
  });

  it('reaches each of its states by a shortest path', () => {
    expect(shortest.map(({ state }) => state.value)).to.have.members([...ALL_TASK_STATES]);
  });

  for (const { state, steps } of shortest) {
    const way = steps.map(({ event }) => describeEvent(event)).join(', ');
    it(`reaches ${state.value} by ${way}`, () => {
      let current: TaskMachineState = 'new';
      for (const step of steps.slice(1)) {
        const next = nextTaskState(current, step.event);
        expect(next).to.equal(step.state.value);
        current = next!;
      }
      expect(current).to.equal(state.value);
    });
  }

  it('agrees with the memo on every step of every simple path', () => {
    expect(simple.length).to.be.greaterThan(shortest.length);
    for (const { steps } of simple) {
      for (const [index, step] of steps.slice(1).entries()) {
        expect(nextTaskState(steps[index]!.state.value, step.event)).to.equal(step.state.value);
      }
    }
  });

  it('takes every transition of the table on some simple path', () => {
    const taken = new Set<string>();
    for (const { steps } of simple) {
      for (const [index, step] of steps.slice(1).entries())
        taken.add(`${steps[index]!.state.value} ${describeEvent(step.event)}`);
    }
    const all = Object.entries(TABLE).flatMap(([state, events]) =>
      Object.keys(events).map((event) => `${state} ${event}`),
    );
    // `released` and `interrupted` lead back into `queued`, where a simple path has been before.
    const circular = ['running task.released', 'running task.interrupted(attemptsLeft)', 'retrying task.due'];
    expect([...taken].sort()).to.deep.equal(all.filter((one) => !circular.includes(one)).sort());
  });

  for (const state of ALL_TASK_STATES) {
    it(`has no other transitions out of ${state} than the table's`, () => {
      for (const event of TASK_EVENTS) {
        const expected = TABLE[state][describeEvent(event)];
        expect(askMachine(state, event), `machine on ${describeEvent(event)}`).to.equal(expected);
        // Twice: the first answer may come from XState, the second never does.
        expect(nextTaskState(state, event), `memo on ${describeEvent(event)}`).to.equal(expected);
        expect(nextTaskState(state, event), `memo on ${describeEvent(event)}, again`).to.equal(expected);
      }
    });
  }

  it('is final in its terminal states, and only there', () => {
    for (const state of TASK_STATES) {
      const final = taskMachine.resolveState({ value: state }).status === 'done';
      expect(final, state).to.equal(isTerminal(state));
      expect(taskMachine.states[state]!.type === 'final', state).to.equal(isTerminal(state));
    }
  });

  it('ignores events that are not of its language', () => {
    expect(nextTaskState('running', { type: 'task.invented' } as unknown as TaskEvent)).to.equal(undefined);
  });
});
