import type { SettledTask } from '../controlMessages.js';
import { messageParts } from './mailbox.js';
import { parseFailure } from './taskRecord.js';

/** What `settle.lua` tells the reader of tasks: their ends, in the message's order. */
export function parseEnds(message: Buffer): SettledTask[] {
  const [header, bytes] = messageParts(message);
  const tasks: SettledTask[] = [];
  let at = 0;
  for (let i = 0; i < header.length; i += 4) {
    const [taskId, state, length, failureLength] = header.slice(i, i + 4) as [
      string,
      'completed' | 'failed',
      number,
      number,
    ];
    if (length < 0) {
      tasks.push({ taskId, state });
      continue;
    }
    const payload = bytes.subarray(at, (at += length));
    const failure = parseFailure(bytes.subarray(at, (at += failureLength)));
    tasks.push({ taskId, state, payload, ...(failure && { failure }) });
  }
  return tasks;
}
