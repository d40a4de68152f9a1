import type { Failure, TaskRef } from './messages.js';
import type { MetricFamily } from './metricFamilies.js';
import type { TerminalState } from './taskStore.js';

/** A task that has ended, with what a waiting client needs, so that it costs no second read of Redis. */
export interface SettledTask {
  taskId: string;
  state: TerminalState;
  /** Absent when it is too large to travel in an event: read it from the store. */
  payload?: Buffer;
  failure?: Failure;
  /** Nobody vouches for it, whoever hears it has to look whether it is true. Never sent. */
  isHint?: true;
}

export interface WorkerBeat {
  name: string;
  state: string;
  running: number;
  queued: number;
}

export type ComponentKind = 'api' | 'dispatcher' | 'worker' | 'monitor';

/**
 * Control events on NATS; the topic of each is its type. None is needed for correctness: an event only makes sooner what a look
 * into Redis would find anyway, and a forged one is checked against Redis or one's own eyes before anybody acts on it.
 * What `tasks.settled` carries of results, and all of `task.output`, is believed under the platform's seal alone, see `eventSeal.ts`.
 */
export type ControlMessage =
  /** Tasks have been queued, or delayed (then 0): dispatchers with free credit claim at once instead of at their next poll. */
  | { type: 'tasks.queued'; count: number }
  /** Tasks have ended: whoever waits for one is answered. */
  | { type: 'tasks.settled'; tasks: SettledTask[] }
  /** Running tasks were cancelled: the dispatcher that has them aborts them. */
  | { type: 'tasks.cancelled'; tasks: TaskRef[] }
  /**
   * Somebody reads what a task prints, and has `from` bytes of the record of this attempt: whoever has it, or gets it during the next
   * `forMs`, should send the rest as `task.output`. Of a later attempt everything is wanted.
   */
  | { type: 'task.follow'; taskId: string; attempt: number; from: number; forMs: number }
  /** A part of what a followed task has printed: bytes of its record from `offset` on; `length` is the whole record's so far. */
  | { type: 'task.output'; taskId: string; attempt: number; offset: number; length: number; bytes: Buffer }
  /** Heartbeats of the workers connected to a dispatcher. */
  | { type: 'worker.heartbeats'; dispatcher: string; workers: WorkerBeat[] }
  /** The monitor has heard nothing from a worker for too long. */
  | { type: 'worker.lost'; worker: string }
  /** An operator wants a worker to finish what it runs and leave. */
  | { type: 'worker.drain'; worker: string }
  /** An operator wants a dispatcher to claim no more, give back what has not started, and leave when the rest has ended. */
  | { type: 'dispatcher.drain'; dispatcher: string }
  /** A process of the platform is alive; `address` is where workers reach a dispatcher. */
  | { type: 'component.heartbeat'; kind: ComponentKind; id: string; state: string; address?: string }
  /** A process of the platform has stopped in good order. */
  | { type: 'component.stopped'; kind: ComponentKind; id: string }
  /** An API is asked for metrics, and wants those of every process: each answers with a `metrics.report` that names the scrape. */
  | { type: 'metrics.asked'; scrape: string }
  /** The metrics of one process, and of the workers that it alone speaks to; its own samples bear its component and instance. */
  | { type: 'metrics.report'; scrape: string; kind: ComponentKind; id: string; families: MetricFamily[] };

export type ControlTopic = ControlMessage['type'];

export const CONTROL_TOPICS: readonly ControlTopic[] = [
  'tasks.queued',
  'tasks.settled',
  'tasks.cancelled',
  'task.follow',
  'task.output',
  'worker.heartbeats',
  'worker.lost',
  'worker.drain',
  'dispatcher.drain',
  'component.heartbeat',
  'component.stopped',
  'metrics.asked',
  'metrics.report',
];
