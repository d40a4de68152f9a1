import { PlatformError } from '../bus/errors.js';
import { requirementOf } from '../bus/requirement.js';
import type { NewTask, RetryPolicy } from '../bus/taskStore.js';
import type { RetryOption, TaskOptions } from './schemas.js';

/** What a request wants run; as a task it has an id as well. */
export interface TaskRequest {
  functionId: string;
  arguments: Buffer;
  options: TaskOptions;
}

/** What is the same for all tasks of a request. */
export interface TaskDefaults {
  maxAttempts: number;
  maxArgumentBytes: number;
  /** The Pythons that functions need, by function id. */
  pythons: ReadonlyMap<string, string>;
  /** Whose they are; undefined: of `default`, which stores nothing for it. */
  tenant: string | undefined;
  /** See `NewTask.trace`. */
  trace?: string | undefined;
}

/**
 * @param taskId minted before anything is written, so that writing it can be repeated
 * @throws PlatformError ARGUMENTS_TOO_LARGE
 */
export function newTask(taskId: string, request: TaskRequest, defaults: TaskDefaults): NewTask {
  const { functionId, options } = request;
  const bytes = request.arguments.length;
  if (bytes > defaults.maxArgumentBytes) {
    const bound = `a task may have ${defaults.maxArgumentBytes}`;
    throw new PlatformError('ARGUMENTS_TOO_LARGE', `Arguments of ${bytes} bytes were sent, and ${bound}.`);
  }
  const requirement = requirementOf({ labels: options.labels ?? [], python: defaults.pythons.get(functionId) ?? '' });
  return {
    taskId,
    functionId,
    arguments: request.arguments,
    priority: options.priority ?? 'normal',
    maxAttempts: options.max_attempts ?? defaults.maxAttempts,
    timeoutMs: Math.ceil((options.timeout_s ?? 0) * 1000),
    delayMs: Math.ceil((options.delay_s ?? 0) * 1000),
    ...(requirement !== '' && { requirement }),
    ...(defaults.tenant !== undefined && { tenant: defaults.tenant }),
    ...(options.isolation && { isolation: options.isolation }),
    ...(options.retry && { retry: retryPolicy(options.retry) }),
    ...(dependsOnOthers(options) && { dependsOn: [...new Set(options.depends_on?.map((id) => id.toLowerCase()))] }),
    ...(defaults.trace !== undefined && { trace: defaults.trace }),
    ...(options.result_ttl_s && { resultTtlSeconds: options.result_ttl_s }),
  };
}

export const dependsOnOthers = ({ depends_on }: TaskOptions): boolean => (depends_on?.length ?? 0) > 0;

function retryPolicy(option: RetryOption): RetryPolicy {
  const { max_retries, backoff_s = 1, backoff_factor = 2, max_backoff_s = 300, jitter = 0.5, on } = option;
  return {
    maxRetries: max_retries,
    backoffMs: Math.ceil(backoff_s * 1000),
    backoffFactor: backoff_factor,
    maxBackoffMs: Math.ceil(max_backoff_s * 1000),
    jitter,
    // Workers name the exceptions of the language without their module.
    ...(on && { on: on.map((name) => name.replace(/^builtins\./, '')) }),
  };
}

/** How long the task may take beyond the usual, and be kept then. */
export function longestLifeMs({ delayMs, timeoutMs, retry, resultTtlSeconds = 0 }: NewTask): number {
  const backoffsMs = retry ? retry.maxRetries * (retry.maxBackoffMs + timeoutMs) : 0;
  return delayMs + timeoutMs + backoffsMs + resultTtlSeconds * 1000;
}
