import { isTerminal, type TaskOutcome } from '../bus/taskStore.js';
import { encodeBase64Json } from './base64.js';
import { exceptionPickle } from './exceptionPickle.js';
import { statusOf } from './taskStatus.js';

/** The JSON of a task's result, `{task_id, status, result}`; written by hand since results are large and known to need no escaping. */
export function resultJson(outcome: TaskOutcome): string {
  const result = encodeBase64Json(resultPickle(outcome));
  return `{"task_id":"${outcome.taskId}","status":"${statusOf(outcome.state)}","result":"${result}"}`;
}

/** The same for MessagePack: the result as bytes, and why the platform failed the task, where it did. */
export function resultFields(outcome: TaskOutcome): Record<string, unknown> {
  const { taskId, state, failure } = outcome;
  return { task_id: taskId, status: statusOf(state), result: resultPickle(outcome), failure: failure ?? null };
}

/** What the client loads: the value, the function's own exception, or one that stands for what the platform did. */
export function resultPickle({ state, payload, failure }: TaskOutcome): Buffer {
  if (!isTerminal(state)) return Buffer.alloc(0);
  if (payload.length > 0 || state === 'completed') return payload;
  if (failure) return exceptionPickle(failure);
  return state === 'cancelled'
    ? exceptionPickle({ type: 'Cancelled', message: 'the task was cancelled' })
    : exceptionPickle({ type: 'WorkerFailure', message: 'the task failed and nothing was recorded of why' });
}
