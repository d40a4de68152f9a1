import { randomUUID } from 'node:crypto';
import type { NewTask } from '../bus/taskStore.js';
import type { TaskOptions } from './schemas.js';

/** A task with an id of its own, minted before anything is written so that writing it can be repeated. */
export function newTask(functionId: string, args: Buffer, options: TaskOptions, defaultMaxAttempts: number): NewTask {
  return {
    taskId: randomUUID(),
    functionId,
    arguments: args,
    priority: options.priority ?? 'normal',
    maxAttempts: options.max_attempts ?? defaultMaxAttempts,
    timeoutMs: Math.ceil((options.timeout_s ?? 0) * 1000),
    delayMs: Math.ceil((options.delay_s ?? 0) * 1000),
  };
}
