import type { ControlMessage } from '../../bus/controlMessages.js';
import type { DispatcherMessage, TaskRef, WorkerMessage } from '../../bus/messages.js';

type AnyMessage = ControlMessage | DispatcherMessage | WorkerMessage;

/** The first digits are enough to tell the tasks of one run apart. */
export const shortId = (taskId: string): string => taskId.slice(0, 4);

export const shortRef = ({ taskId, fence }: TaskRef): string => `${shortId(taskId)}/${fence}`;

/** A message in a few words, for the trace. */
export function describeMessage(message: unknown): string {
  const { type, ...rest } = message as AnyMessage;
  const words: string[] = [type];
  for (const [name, value] of Object.entries(rest) as [string, unknown][]) {
    if (name === 'lastRun' || name === 'sequence' || name === 'limit' || name === 'instance') {
      words.push(`${name}=${String(value).slice(0, 8)}`);
    } else if (
      Array.isArray(value) &&
      ['holding', 'rejected', 'orders', 'results', 'settled', 'tasks'].includes(name)
    ) {
      words.push(`${name}=[${(value as TaskRef[]).map(refWithOutcome).join(' ')}]`);
    }
  }
  return words.join(' ');
}

const refWithOutcome = ({ outcome, ...ref }: Partial<TaskRef> & { outcome?: string }): string =>
  [shortRef({ taskId: '', fence: '', ...ref }), ...(outcome === undefined ? [] : [outcome])].join(':');
