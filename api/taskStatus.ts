import type { TaskState } from '../bus/taskStore.js';

/** What clients see of a task's state. The course defines the first four; only cancelling leads to the fifth. */
export const STATUSES = ['QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'] as const;
export type Status = (typeof STATUSES)[number];

const STATUS_OF: Record<TaskState, Status> = {
  blocked: 'QUEUED',
  delayed: 'QUEUED',
  queued: 'QUEUED',
  retrying: 'QUEUED',
  running: 'RUNNING',
  completed: 'COMPLETED',
  failed: 'FAILED',
  cancelled: 'CANCELLED',
};

export const statusOf = (state: TaskState): Status => STATUS_OF[state];
