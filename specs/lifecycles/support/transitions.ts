import type { TransitionDetails, TransitionLog } from '../../../bus/transitionLog.js';

export interface LoggedTransition {
  machine: string;
  id: string;
  from: string;
  event: string;
  to: string;
  details: TransitionDetails | undefined;
}

/** A transition log that keeps what it is told. */
export function recordTransitions(): { log: TransitionLog; lines: LoggedTransition[]; story: () => string[] } {
  const lines: LoggedTransition[] = [];
  return {
    lines,
    log: (machine, id, from, event, to, details) => lines.push({ machine, id, from, event, to, details }),
    /** `ready -> busy (worker.assigned)`, and so on. */
    story: () => lines.map(({ from, event, to }) => `${from} -> ${to} (${event})`),
  };
}
