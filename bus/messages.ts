/**
 * Everything that crosses a process boundary between dispatcher and workers, as two closed unions.
 *
 * Messages are batches already: an actor hands over what it has, the carrier joins what gathers while its previous send is
 * in flight. Pickles are opaque bytes here and everywhere but in the Python runtime.
 */

/** Why an attempt did not end with a value. The set is closed: clients map each to an exception class. */
export const FAILURE_TYPES = [
  'UserException',
  'DeserializationError',
  'ResultSerializationError',
  'ResultTooLarge',
  'Timeout',
  'MemoryLimit',
  'ProcessCrashed',
  'WorkerFailure',
  'Cancelled',
  'VersionMismatch',
  'DependencyFailed',
] as const;
export type FailureType = (typeof FAILURE_TYPES)[number];

export interface Failure {
  type: FailureType;
  /** One line for people; for a user's exception its own text, bounded by the runtime. */
  message: string;
  /** Class name of the user's exception, such as `ValueError`. */
  exception?: string;
  /** The class of the exception that was raised and those it derives from: `ValueError`, `mymod.MyError`. */
  bases?: string[];
  /** The remote traceback, as Python prints it. */
  traceback?: string;
  /** Name of the signal that ended the process, such as `SIGKILL`. */
  signal?: string;
  /** Exit code of the process, when it ended by itself. */
  exitCode?: number;
}

/** Names one attempt of one task; a fence is never reused, so a pair of equal fences is the same attempt. */
export interface TaskRef {
  taskId: string;
  fence: string;
}

/** The value of a task that another one depends on. */
export interface TaskInput {
  taskId: string;
  payload: Buffer;
}

/** `fresh`: in a process that has run no other task, and runs none after it. Absent: in a warm one. */
export type Isolation = 'fresh';

/** One attempt of one task, as a worker needs it. */
export interface TaskOrder extends TaskRef {
  functionId: string;
  /** Pickle of `(args, kwargs)`. */
  arguments: Buffer;
  /** Longest run time, 0 for none; counted from the moment the function is called. */
  timeoutMs: number;
  /** Values that the arguments refer to by persistent ids. */
  inputs?: TaskInput[];
  isolation?: Isolation;
}

/**
 * How an attempt ended:
 * - `completed`: the function returned; `payload` is the pickled value
 * - `failed`: an answer as well; `payload` is the pickled exception, or empty where the platform made the failure
 * - `interrupted`: the process died under it; not the function's answer, so it is tried again while attempts last
 * - `released`: given back unstarted (drain, take-back); the attempt does not count
 */
export type Outcome = 'completed' | 'failed' | 'interrupted' | 'released';

export interface TaskResult extends TaskRef {
  outcome: Outcome;
  payload: Buffer;
  failure?: Failure;
  /** Wall clock of the worker when the function was called, ms since the epoch; 0 when it never was. */
  startedAtMs: number;
  runTimeUs: number;
  peakMemoryKib: number;
  /** What the task printed, bounded, as a record (`outputRecord.ts`); empty for most. */
  output: Buffer;
  outputTruncated: boolean;
}

export interface FunctionBody {
  functionId: string;
  /** Its pickle, with its origin before it where that is known, see `functionOrigin.ts`. */
  body: Buffer;
}

/** What a worker's process needs: its metrics travel with its heartbeats, since it speaks to its dispatcher alone. */
export interface WorkerUsage {
  cpuSeconds: number;
  residentBytes: number;
  /** Longest interval between turns of a 10 ms timer, but for one in a hundred, since the last heartbeat. */
  loopLagSeconds: number;
}

/** What a worker says of itself when it joins; `holding` lets a dispatcher adopt what it still runs. */
export interface WorkerHello {
  /** For people; need not be unique. */
  name: string;
  /** Random, new for each process: which worker this is, across its connections. */
  instance: string;
  slots: number;
  pid: number;
  pythonVersion: string;
  /** `cpython`, `pypy`, ...: as `sys.implementation.name` says. */
  pythonImplementation: string;
  dillVersion: string;
  /** What it was started with; a task that asks for labels goes to workers that have all of them. */
  labels: string[];
  /** How far it keeps functions from its machine, `SandboxKind`; absent where it does not say. */
  sandbox?: string;
  holding: TaskRef[];
  /** Orders up to this `run.sequence` have arrived on this connection, or never will; later ones may be on their way. 0 on a new one. */
  lastRun: number;
  /** Ids of the functions whose bodies the worker has. */
  functions: string[];
  /** The how-manyth connection of this process it is: a hello of an earlier one, late out of some buffer, is out of date. */
  connection: number;
}

export type WorkerMessage =
  /** First message of a connection, and the answer to `sayHello`: everything needed to reconcile. */
  | ({ type: 'hello' } & WorkerHello)
  /** Alive; `lastRun` is the highest `run.sequence` seen, so that a lost order is noticed. */
  | { type: 'heartbeat'; lastRun: number; running: number; queued: number; usage?: WorkerUsage }
  /** Attempts that ended; repeated until acknowledged. */
  | { type: 'results'; results: TaskResult[] }
  /**
   * A part of what a followed attempt has printed: the bytes of its record from `offset` on; `length` is the whole record's so far.
   * May be lost: who misses a part asks for it.
   */
  | ({ type: 'output'; offset: number; length: number; bytes: Buffer } & TaskRef)
  /** All that an aborted attempt had printed. Sent once. */
  | ({ type: 'printed'; output: Buffer } & TaskRef)
  /** Orders arrived for functions whose bodies are not here. */
  | { type: 'functionsMissing'; functionIds: string[] }
  /** No new orders, please: the worker is stopping; what it had not started comes back as `released`. */
  | { type: 'draining' }
  /** Last message: nothing is held any more. */
  | { type: 'goodbye' };

export type DispatcherMessage =
  /** Answer to `hello`. What is in `rejected` is no longer this worker's: stop it, forget it. */
  | {
      type: 'welcome';
      dispatcher: string;
      heartbeatMs: number;
      rejected: TaskRef[];
      dispatchers: string[];
      /** `hello.lastRun` of the hello that this answers: one that says more than this has not been heard. */
      lastRun: number;
    }
  /**
   * The dispatcher does not know this connection, or has lost track of it: reconcile. Orders up to `sequence` were sent before this:
   * what has not arrived of them was lost. 0 where the connection is not known.
   */
  | { type: 'sayHello'; sequence: number }
  /** Answer to `heartbeat`: alive. `dispatchers` are the places to go to should this one fall silent. */
  | { type: 'heartbeat'; dispatchers: string[] }
  /** Work. Bodies of functions that the worker has not had before travel along. */
  | { type: 'run'; sequence: number; functions: FunctionBody[]; orders: TaskOrder[] }
  | { type: 'functions'; functions: FunctionBody[] }
  /** These results are in Redis, or refused for good: forget them. */
  | { type: 'acknowledge'; settled: TaskRef[] }
  /** These are not this worker's any more (cancelled, or the fence was refused): stop them, report nothing. */
  | { type: 'abort'; tasks: TaskRef[] }
  /** Give back up to `limit` unstarted tasks as `released`; only of these, where they are named. */
  | { type: 'takeBack'; limit: number; among?: string[] }
  /**
   * Somebody reads what this attempt prints: send the record's bytes `from` on, up to `FOLLOW_WINDOW_BYTES` of them, and what is
   * printed during the next `forMs`. Repeated as long as somebody reads.
   */
  | ({ type: 'follow'; from: number; forMs: number } & TaskRef)
  /** Finish what is running, give back the rest, leave. */
  | { type: 'drain' };
