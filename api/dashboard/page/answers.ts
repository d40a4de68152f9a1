/** What the API answers, as far as the views show it; `/openapi.json` has every field. Times are ISO 8601, or ms where named `_ms`. */

export const STATUSES = ['QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'] as const;
export const FAILURES = [
  'UserException',
  'Timeout',
  'Cancelled',
  'ProcessCrashed',
  'MemoryLimit',
  'WorkerFailure',
  'DeserializationError',
  'ResultSerializationError',
  'ResultTooLarge',
  'VersionMismatch',
  'DependencyFailed',
] as const;

export interface TaskSummary {
  task_id: string;
  status: string;
  state: string;
  function_id: string;
  function_name: string | null;
  priority: string;
  attempts: number;
  worker: string | null;
  run_time_us: number | null;
  failure: { type: string; message: string; exception: string | null } | null;
  run_again_as: string | null;
  queued_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface TaskPage {
  tasks: TaskSummary[];
  cursor: string | null;
}

export interface Transition {
  at: string;
  at_ms: number;
  event: string;
  from: string;
  to: string;
  detail: string | null;
}

export interface Story {
  task_id: string;
  status: string;
  state: string;
  function_id: string;
  priority: string;
  attempts: number;
  max_attempts: number;
  timeout_s: number | null;
  retries: number;
  max_retries: number;
  depends_on: string[];
  result_ttl_s: number | null;
  worker: string | null;
  run_time_us: number | null;
  peak_memory_kib: number | null;
  result_bytes: number;
  output_truncated: boolean;
  failure: {
    type: string;
    message: string;
    exception: string | null;
    traceback: string | null;
    signal: string | null;
    exit_code: number | null;
  } | null;
  run_again_as: string | null;
  labels: string[];
  waiting_for: { reason: string; text: string; tasks?: string[] } | null;
  history: Transition[];
  queued_at_ms: number;
  started_at_ms: number | null;
  finished_at_ms: number | null;
}

export interface FunctionStory {
  function_id: string;
  name: string;
  payload_bytes: number;
  python: string | null;
  needs_python: string | null;
  source_is_complete: boolean;
  registered_at_ms: number;
  runs: {
    completed: number;
    failed: number;
    mean_us: number | null;
    p50_us: number | null;
    p95_us: number | null;
    p99_us: number | null;
  };
}

export interface FunctionPage {
  functions: FunctionStory[];
  cursor: string | null;
}

export interface Worker {
  name: string;
  state: string;
  dispatcher: string;
  mode: string;
  slots: number;
  running: number;
  queued: number;
  functions: number;
  warm_functions: { function_id: string; name: string | null }[];
  labels: string[];
  pid: number;
  python_version: string;
  python_implementation: string;
  dill_version: string;
  joined_at_ms: number;
  heartbeat_at_ms: number;
}

export interface Dispatcher {
  id: string;
  state: string;
  mode: string;
  workers: number;
  slots: number;
  in_flight: number;
  unsettled: number;
  completed: number;
  failed: number;
  completed_per_s: number;
  failed_per_s: number;
  started_at_ms: number;
  heartbeat_at_ms: number;
}

/** It stays as it is. */
export const hasEnded = ({ status }: { status: string }): boolean =>
  status === 'COMPLETED' || status === 'FAILED' || status === 'CANCELLED';
