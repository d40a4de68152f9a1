import type { JSX } from 'preact';

/** A state or status, in its colour: `running`, `FAILED`, `lost`. The word says what the colour does. */
export function Badge({ state }: { state: string }): JSX.Element {
  return <span class={`badge state-${state.toLowerCase()}`}>{state.toLowerCase()}</span>;
}
