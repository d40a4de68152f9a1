/** What the stream of the dashboard says: `start` once, then a `frame` a few times a second, or `trouble` while there is nothing to tell. */
export interface Start {
  version: string;
  /** Of this server, ms: pages show ages by the difference to their own clock. */
  nowMs: number;
  /** Milliseconds between two frames. */
  everyMs: number;
  machines: MachineDrawing[];
  /** Oldest first. */
  history: HistoryPoint[];
}

export interface Trouble {
  /** A sentence for people. */
  detail: string;
}

/** How the platform stands at one moment. */
export interface Frame {
  atMs: number;
  /** `completed`, `failed`, `cancelled`: all that ended so, expired ones included. */
  tasks: Record<
    'blocked' | 'delayed' | 'queued' | 'running' | 'retrying' | 'completed' | 'failed' | 'cancelled',
    number
  >;
  /** `failed` by failure type. */
  failures: Record<string, number>;
  queues: { high: number; normal: number; low: number };
  /** How long that queued task has been waiting which was submitted first; null when none is queued. */
  oldestQueuedMs: number | null;
  slots: { busy: number; total: number };
  /** By state; `gone` and `lost`: since the dispatchers started. */
  workers: Record<string, number>;
  components: Record<string, number>;
  dispatchers: number;
  /** Per second, over the last few seconds. */
  rates: { completed: number; failed: number; cancelled: number };
  /** From submission to the recorded end, of tasks that ended in the last few seconds; null when none did. */
  latency: Latency | null;
  /** Transitions per second, of those drawn arrows that had any lately, by `Arrow.id`. */
  flows: Record<string, number>;
  /** Present about once a second: what the charts gain. */
  point?: HistoryPoint;
}

export interface Latency {
  p50Ms: number;
  p95Ms: number;
}

/** One moment of the charts; short, since there are hundreds. Null where nothing is known. */
export type HistoryPoint = [
  atMs: number,
  completedPerS: number,
  failedPerS: number,
  p50Ms: number | null,
  p95Ms: number | null,
  queued: number,
  running: number,
  busySlots: number,
  slots: number,
];

/** A state machine as a picture: twice, since what fits a desk does not fit a phone. */
export interface MachineDrawing {
  name: 'task' | 'worker' | 'component';
  wide: Layout;
  tall: Layout;
}

export interface Layout {
  width: number;
  height: number;
  states: StateBox[];
  lines: Line[];
}

/** A place is the middle of what is there. */
interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface StateBox extends Box {
  name: string;
  initial: boolean;
  final: boolean;
}

/** All arrows from one state to another, drawn as one line. */
export interface Line {
  from: string;
  to: string;
  points: { x: number; y: number }[];
  /** `words`: a line of text each; none when the arrows speak for themselves. */
  label: Box & { words: string[] };
  arrows: Arrow[];
}

export interface Arrow {
  /** `task running task.raised failed`. */
  id: string;
  event: string;
  guard?: string;
}
