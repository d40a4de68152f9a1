import type { TaskOrder, TaskResult } from '../../bus/messages.js';
import type { RetryPolicy } from '../../bus/taskStore.js';
import type { Random } from './random.js';

/** What the function of a simulated task does; it travels in the task's arguments. */
export interface Behaviour {
  /** `endless` never returns by itself. */
  ends: 'returning' | 'raising' | 'never';
  runMs: number;
  /** Attempts that crash their process before one ends as it should; more than there are attempts for a poison task. */
  crashes: number;
  /** Attempts, after those, that raise before one ends as it should. */
  raises: number;
  /** As a pickle that refers to the values of other tasks has it. */
  reads?: 'mpcsfaas.task';
}

const NO_BYTES = Buffer.alloc(0);
const POISON = 1_000;

export function randomBehaviour(
  random: Random,
  { longMs, crashing, retried, reading }: { longMs: number; crashing: boolean; retried: boolean; reading: boolean },
): Behaviour {
  const runMs = random.weighted([
    [random.between(1, 100), 5],
    [random.between(300, 3_000), 3],
    [random.between(3_000, longMs), 3],
  ]);
  const ends = random.weighted([
    ['returning' as const, 16],
    ['raising' as const, 3],
    ['never' as const, 1],
  ]);
  const crashes = crashing && random.chance(0.15) ? random.pick([1, 1, 2, POISON]) : 0;
  const raises = retried ? random.pick([0, 1, 1, 2, 4]) : 0;
  return { ends, runMs: Math.round(runMs), crashes, raises, ...(reading && { reads: 'mpcsfaas.task' as const }) };
}

export const encodeBehaviour = (behaviour: Behaviour): Buffer => Buffer.from(JSON.stringify(behaviour));
const decodeBehaviour = (bytes: Buffer): Behaviour => JSON.parse(bytes.toString()) as Behaviour;

/** What the function must return, or raise, for this very task. */
export const valueOf = (taskId: string): Buffer => Buffer.from(`value of ${taskId}`);
export const exceptionOf = (taskId: string): Buffer => Buffer.from(`exception of ${taskId}`);

export type Ending = 'returned' | 'raised' | 'crashed' | 'timedOut';

/** How and after how long this attempt will end; undefined when it will not. */
export function endingOf({
  fence,
  arguments: args,
  timeoutMs,
}: TaskOrder): { ending: Ending; afterMs: number } | undefined {
  const { ends, runMs, crashes, raises } = decodeBehaviour(args);
  const attempt = Number.parseInt(fence, 10);
  const limitMs = timeoutMs > 0 ? timeoutMs : Infinity;
  if (attempt <= crashes && runMs <= limitMs) return { ending: 'crashed', afterMs: runMs };
  if (attempt <= crashes + raises && runMs <= limitMs) return { ending: 'raised', afterMs: runMs };
  if (ends !== 'never' && runMs <= limitMs) {
    return { ending: ends === 'returning' ? 'returned' : 'raised', afterMs: runMs };
  }
  return limitMs === Infinity ? undefined : { ending: 'timedOut', afterMs: limitMs };
}

/** What the pool reports. The output names the attempt, so that a recorded result can be traced to the one that made it. */
export function resultOf({ taskId, fence }: TaskOrder, ending: Ending, runMs: number): TaskResult {
  const common = {
    taskId,
    fence,
    startedAtMs: 1,
    runTimeUs: Math.round(runMs * 1000),
    peakMemoryKib: 1,
    output: Buffer.from(fence),
    outputTruncated: false,
  };
  switch (ending) {
    case 'returned':
      return { ...common, outcome: 'completed', payload: valueOf(taskId) };
    case 'raised':
      return {
        ...common,
        outcome: 'failed',
        payload: exceptionOf(taskId),
        failure: { type: 'UserException', message: 'no', exception: 'ValueError', bases: ['ValueError', 'Exception'] },
      };
    case 'timedOut':
      return { ...common, outcome: 'failed', payload: NO_BYTES, failure: { type: 'Timeout', message: 'too long' } };
    case 'crashed':
      return {
        ...common,
        outcome: 'interrupted',
        payload: NO_BYTES,
        failure: { type: 'ProcessCrashed', message: 'killed', signal: 'SIGSEGV' },
      };
    default:
      return ending satisfies never;
  }
}

export const randomRetryPolicy = (random: Random): RetryPolicy => ({
  maxRetries: random.integer(1, 3),
  backoffMs: random.integer(0, 2_000),
  backoffFactor: random.pick([1, 2]),
  maxBackoffMs: 5_000,
  jitter: random.pick([0, 0.5, 1]),
});
