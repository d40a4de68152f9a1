import type { Bus } from '../bus/bus.js';
import type { ControlMessage } from '../bus/controlMessages.js';
import type { DispatcherMessage, WorkerMessage } from '../bus/messages.js';
import type { ProcessMetrics } from '../bus/metrics.js';
import type { TaskStore, WorkerRecord } from '../bus/taskStore.js';
import type { Tracer } from '../bus/tracing.js';
import type { TransitionLog } from '../bus/transitionLog.js';
import type { Clock } from './clock.js';
import type { WorkerTimings } from './lifecycles/workerMachine.js';

export interface DispatcherOptions {
  id: string;
  mode: WorkerRecord['mode'];
  heartbeatMs: number;
  leaseMs: number;
  /** It looks into the queue this often though no nudge came, unless it is idle: see `Lookout`. */
  pollMs: number;
  timings: WorkerTimings;
  /** Most bytes of function bodies kept in memory. */
  functionCacheBytes: number;
}

export interface DispatcherDeps {
  store: TaskStore;
  /** To the workers. */
  workers: Bus<WorkerMessage, DispatcherMessage>;
  /** Control events. */
  control: Bus<ControlMessage, ControlMessage>;
  clock: Clock;
  transition: TransitionLog;
  counts: ProcessMetrics;
  /** Absent when nothing is traced. */
  tracer?: Tracer | undefined;
  /** Random, new at each call: the half of a fence that no other claim has. */
  nonce: () => string;
  /** Attempts had been decided before their worker reported them: stale ones are refused, duplicates acknowledged again. */
  onRefused?: (counts: { stale: number; duplicate: number }) => void;
  /** An operator asks it to drain: the process should stop. */
  onDrainRequested?: () => void;
  onError: (error: unknown) => void;
}
