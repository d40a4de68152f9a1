import type { Logger } from 'pino';

export type MachineName = 'task' | 'worker' | 'component';

/** What explains a transition: worker, attempt, reason, ... never a payload. */
export type TransitionDetails = Record<string, string | number | boolean | undefined>;

/**
 * The one way a transition reaches the log: a line with machine, id, from, event, to, and what explains it. Called by the hot
 * path for tasks, and by the inspector of the running machines for workers and components.
 */
export type TransitionLog = (
  machine: MachineName,
  id: string,
  from: string,
  event: string,
  to: string,
  details?: TransitionDetails,
) => void;

export function transitionLog(log: Logger): TransitionLog {
  if (!log.isLevelEnabled('info')) return () => undefined;
  return (machine, id, from, event, to, details) => {
    log.info({ machine, id, from, event, to, ...details });
  };
}
