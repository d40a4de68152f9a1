import type { Failure, TaskRef, TaskResult } from './messages.js';

const NO_BYTES = Buffer.alloc(0);

/** The result of an attempt of which nothing was measured. */
export function emptyResult({ taskId, fence }: TaskRef, outcome: TaskResult['outcome'], failure?: Failure): TaskResult {
  return {
    taskId,
    fence,
    outcome,
    payload: NO_BYTES,
    ...(failure && { failure }),
    startedAtMs: 0,
    runTimeUs: 0,
    peakMemoryKib: 0,
    output: NO_BYTES,
    outputTruncated: false,
  };
}
