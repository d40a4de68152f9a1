import { expect } from 'chai';
import type { AnyStateMachine } from 'xstate';
import { componentMachine } from '../../actors/lifecycles/componentMachine.js';
import { mermaidDiagram } from '../../actors/lifecycles/diagram.js';
import { taskMachine } from '../../actors/lifecycles/taskMachine.js';
import { workerMachine } from '../../actors/lifecycles/workerMachine.js';

/** Every arrow between two states that the machine's own definition has, as `from --> to: event`. */
function arrowsOf(machine: AnyStateMachine): string[] {
  return Object.values(machine.states).flatMap((state) =>
    [...state.transitions].flatMap(([eventType, transitions]) => {
      const event = eventType.replace(/^xstate\.after\.(\w+)\..*$/, 'after $1');
      const targets = transitions.flatMap(({ target }) => target ?? []).filter(({ key }) => key !== state.key);
      return targets.map(({ key }) => `${state.key} --> ${key}: ${event}`);
    }),
  );
}

describe('the drawing of a machine', () => {
  for (const [name, machine, initial] of [
    ['task', taskMachine, 'new'],
    ['worker', workerMachine, 'joining'],
    ['component', componentMachine, 'starting'],
  ] as [string, AnyStateMachine, string][]) {
    it(`has an arrow for each transition of the ${name} machine, and no other`, () => {
      const lines = mermaidDiagram(machine)
        .split('\n')
        .map((line) => line.trim());
      expect(lines.slice(0, 2)).to.deep.equal(['stateDiagram-v2', `[*] --> ${initial}`]);
      const drawn = lines.slice(2).filter((line) => !line.endsWith('--> [*]'));
      expect(drawn.map((line) => line.replace(/ \[\w+\]$/, ''))).to.have.members(arrowsOf(machine));
      expect(arrowsOf(machine)).not.to.have.length(0);
    });

    it(`ends the ${name} machine where it is final`, () => {
      const ends = mermaidDiagram(machine).match(/^ +\w+ --> \[\*\]$/gm) ?? [];
      const final = Object.values(machine.states).filter(({ type }) => type === 'final');
      expect(ends.map((line) => line.trim())).to.have.members(final.map(({ key }) => `${key} --> [*]`));
    });
  }

  it('names guards', () => {
    expect(mermaidDiagram(taskMachine)).to.contain('running --> queued: task.interrupted [hasAttemptsLeft]');
    expect(mermaidDiagram(taskMachine)).to.contain('running --> failed: task.interrupted\n');
  });

  it('names silence by its delay', () => {
    expect(mermaidDiagram(workerMachine)).to.contain('ready --> suspect: after suspectAfter');
  });
});
