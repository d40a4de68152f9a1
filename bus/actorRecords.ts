/** What actors last said of themselves: see `TaskStore.readWorkers`, `TaskStore.readDispatchers`. */
export interface WorkerRecord {
  name: string;
  state: string;
  dispatcher: string;
  mode: 'local' | 'push' | 'pull';
  slots: number;
  running: number;
  queued: number;
  pid: number;
  pythonVersion: string;
  /** `cpython`, `pypy`, ... */
  pythonImplementation: string;
  dillVersion: string;
  labels: string[];
  /** How far it keeps functions from its machine, where it says so. */
  sandbox?: string;
  joinedAtMs: number;
  heartbeatAtMs: number;
  /** Functions whose bodies the worker has. */
  functions: number;
  /** Ids of some of them, those that it got last. */
  warm: string[];
}

export interface DispatcherRecord {
  id: string;
  state: 'running' | 'draining';
  mode: 'local' | 'push' | 'pull';
  workers: number;
  /** Of its workers, together. */
  slots: number;
  /** Tasks that its workers have, run and waiting. */
  inFlight: number;
  /** Results that wait for Redis. */
  unsettled: number;
  /** Ends it has recorded since it started. */
  completed: number;
  failed: number;
  /** The same per second, over the last few seconds. */
  completedPerSecond: number;
  failedPerSecond: number;
  startedAtMs: number;
  heartbeatAtMs: number;
}
