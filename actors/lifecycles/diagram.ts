import type { AnyStateMachine, EventObject, TransitionDefinition } from 'xstate';

type Transition = TransitionDefinition<never, EventObject>;

/** A machine as a Mermaid state diagram, drawn from the machine itself. */
export function mermaidDiagram(machine: AnyStateMachine): string {
  const lines = ['stateDiagram-v2', `    [*] --> ${initialOf(machine)}`];
  for (const state of Object.values(machine.states)) {
    for (const transitions of state.transitions.values()) {
      for (const transition of transitions as unknown as Transition[]) lines.push(...arrows(state.key, transition));
    }
    if (state.type === 'final') lines.push(`    ${state.key} --> [*]`);
  }
  return lines.join('\n');
}

function initialOf(machine: AnyStateMachine): string {
  return machine.root.initial.target[0]?.key ?? '';
}

function arrows(from: string, transition: Transition): string[] {
  const targets = transition.target ?? [];
  return targets
    .filter((target) => target.key !== from)
    .map((target) => `    ${from} --> ${target.key}: ${label(transition)}`);
}

function label({ eventType, guard }: Transition): string {
  const event = eventType.replace(/^xstate\.after\.(\w+)\..*$/, 'after $1');
  if (guard === undefined) return event;
  const name: unknown = typeof guard === 'object' && 'type' in guard ? guard.type : guard;
  return `${event} [${String(name)}]`;
}
