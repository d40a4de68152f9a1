import type { JSX } from 'preact';
import { useLive } from '../stream.js';

const WORDS = { connecting: 'Connecting', live: 'Live', lost: 'Not live' } as const;

/** Whether what is shown is how things stand. Told aloud when that changes, and not otherwise. */
export function LiveSign(): JSX.Element {
  const { status, detail } = useLive();
  return (
    <span class={`live-sign ${status}`} role="status" title={detail}>
      <span class="live-dot" aria-hidden="true" />
      {WORDS[status]}
    </span>
  );
}
