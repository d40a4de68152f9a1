import type { AnyStateMachine, AnyTransitionDefinition } from 'xstate';

/** A machine as a Mermaid state diagram, drawn from the machine itself. */
export function mermaidDiagram(machine: AnyStateMachine): string {
  const lines = ['stateDiagram-v2', `    [*] --> ${String(machine.config.initial)}`];
  for (const state of Object.values(machine.states)) {
    for (const transitions of state.transitions.values()) {
      for (const transition of transitions) lines.push(...arrows(state.key, transition));
    }
    if (state.type === 'final') lines.push(`    ${state.key} --> [*]`);
  }
  return lines.join('\n');
}

function arrows(from: string, transition: AnyTransitionDefinition): string[] {
  const targets = transition.target ?? [];
  return targets
    .filter((target) => target.key !== from)
    .map((target) => `    ${from} --> ${target.key}: ${label(transition)}`);
}

function label({ eventType, guard }: AnyTransitionDefinition): string {
  const event = eventType.replace(/^xstate\.after\.(\w+)\..*$/, 'after $1');
  if (guard === undefined) return event;
  const name: unknown = typeof guard === 'object' && guard !== null && 'type' in guard ? guard.type : guard;
  return `${event} [${String(name)}]`;
}
