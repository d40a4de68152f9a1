/** Who pays for the end of a process, and the result of a task whose process ended under it. */
import { emptyResult } from '../bus/emptyResult.js';
import type { Failure, TaskResult } from '../bus/messages.js';
import { endWords, hasLostWire } from './processWords.js';
import type { ProcessEnd, SentTask } from './processParts.js';
import type { PythonProcess } from './pythonProcess.js';

/**
 * Only the task whose call was on is blamed; results before it that were on their way are lost, and those tasks run again. An
 * end that the pool wanted is nobody's fault.
 *
 * A spoilt wire shows late: any task that has begun and is not answered can have done it. Blaming all would charge up to a
 * pipeline of innocent ones, blaming too few would let a poisonous task come back for ever. So they become `suspects`, which
 * run again one at a time, until one is caught alone.
 */
export function judgeEnd(process: PythonProcess, end: ProcessEnd): { blamed?: SentTask; suspects: SentTask[] } {
  if (hasLostWire(end)) {
    const [first, ...others] = process.allBegun();
    if (first === undefined) return { suspects: [] };
    return others.length === 0 ? { blamed: first, suspects: [] } : { suspects: [first, ...others] };
  }
  const begun = end.reason === 'itself' ? process.begun() : undefined;
  return begun === undefined ? { suspects: [] } : { blamed: begun, suspects: [] };
}

/** A limit is an answer, `failed`; a crash is not, `interrupted`. The run time is as this side saw it. */
export function resultOfEnd(
  sent: SentTask,
  end: ProcessEnd,
  { timedOut, peakMemoryKib }: { timedOut: boolean; peakMemoryKib: number },
): TaskResult {
  const { order } = sent.task;
  const failure = timedOut ? timeout(order.timeoutMs) : (limitReached(end) ?? crash(end));
  return {
    ...emptyResult(order, failure.type === 'ProcessCrashed' ? 'interrupted' : 'failed', failure),
    startedAtMs: sent.sentAtMs,
    runTimeUs: (Date.now() - sent.sentAtMs) * 1_000,
    peakMemoryKib,
    output: sent.task.output?.record() ?? Buffer.alloc(0),
  };
}

function timeout(timeoutMs: number): Failure {
  return {
    type: 'Timeout',
    message: `the function ran longer than its limit of ${timeoutMs} ms and was terminated; a larger timeout_s gives it more`,
  };
}

/** What the same function would meet again at every attempt. */
function limitReached({ reason, signal, outOfMemory }: ProcessEnd): Failure | undefined {
  if (reason !== 'itself') return undefined;
  if (signal === 'SIGXCPU') {
    const message = 'the function used more CPU time than MAX_CPU_SECONDS of its worker allows, and was ended';
    return { type: 'Timeout', message, signal };
  }
  if (outOfMemory && signal === 'SIGKILL') {
    const message =
      'the function and what it started used more memory than MAX_MEMORY of its worker allows, and was ended';
    return { type: 'MemoryLimit', message, signal };
  }
  return undefined;
}

function crash(end: ProcessEnd): Failure {
  return {
    type: 'ProcessCrashed',
    message: endWords(end),
    ...(end.signal === null ? {} : { signal: end.signal }),
    ...(end.exitCode === null ? {} : { exitCode: end.exitCode }),
    ...(end.crashReport === undefined ? {} : { traceback: end.crashReport }),
  };
}
