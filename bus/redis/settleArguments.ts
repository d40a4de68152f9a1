import type { Settlement } from '../taskStore.js';
import { isLarge } from './largeValues.js';
import type { ScriptArgument } from './scriptCall.js';

const NO_BYTES = Buffer.alloc(0);

/** What `settle.lua` is told of an attempt. @param random for the jitter of a retry */
export function settleArguments(settlement: Settlement, random: () => number): ScriptArgument[] {
  const { taskId, fence, worker, event, failure, output, payload: value } = settlement;
  const ran = `${Math.round(settlement.startedAtMs)} ${settlement.runTimeUs} ${settlement.peakMemoryKib}`;
  const payload = settlement.lostBy ?? (isLarge(value) ? NO_BYTES : value);
  const usual = [taskId, fence, worker, ran, payload];
  if (event === 'task.succeeded' && output.length === 0) return [...usual, ''];
  return [
    ...usual,
    settlement.lostBy === undefined ? event : 'worker.lost',
    failure ? JSON.stringify(failure) : '',
    event === 'task.raised' ? random() : '',
    output,
    settlement.outputTruncated ? '1' : '',
  ];
}
