import type { SettledTask } from './controlMessages.js';
import type { Settlement, TerminalState } from './taskStore.js';

/** Larger results do not travel in events: Redis and NATS cut off a subscriber that has too much outstanding. */
const MAX_EVENT_PAYLOAD_BYTES = 32 * 1024;

/** What is told of a task that has ended. */
export function settledTask({ taskId, payload, failure }: Settlement, state: TerminalState): SettledTask {
  const small = payload.length + (failure?.traceback?.length ?? 0) <= MAX_EVENT_PAYLOAD_BYTES;
  // An interrupted task that failed for good has its failure completed by Redis (how each attempt ended): read from there.
  const complete = small && (failure === undefined || payload.length > 0);
  return complete ? { taskId, state, payload, ...(failure && { failure }) } : { taskId, state };
}
