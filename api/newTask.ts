import type { NewTask } from '../bus/taskStore.js';
import type { TaskOptions } from './schemas.js';

/** What a request wants run; as a task it has an id as well. */
export interface TaskRequest {
  functionId: string;
  arguments: Buffer;
  options: TaskOptions;
}

/** @param taskId minted before anything is written, so that writing it can be repeated */
export function newTask(taskId: string, request: TaskRequest, defaultMaxAttempts: number): NewTask {
  const { functionId, options } = request;
  return {
    taskId,
    functionId,
    arguments: request.arguments,
    priority: options.priority ?? 'normal',
    maxAttempts: options.max_attempts ?? defaultMaxAttempts,
    timeoutMs: Math.ceil((options.timeout_s ?? 0) * 1000),
    delayMs: Math.ceil((options.delay_s ?? 0) * 1000),
  };
}
