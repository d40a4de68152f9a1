import { type OutputPiece, readRecord } from '../../bus/outputRecord.js';
import type { TaskRecord, TaskStore } from '../../bus/taskStore.js';
import type { LiveOutput } from './liveOutput.js';

export interface LogSoFar {
  /** The last attempt, whose output this is; 0 for a task that has not started. */
  attempt: number;
  pieces: OutputPiece[];
  truncated: boolean;
}

/** How long the worker of a running task may take to say what has been printed. */
const ANSWER_MS = 500;
/** What lay between C code and its process when the worker was asked comes a moment later. */
const AFTER_ANSWER_MS = 60;
const LOOK_MS = 10;

/** What the last attempt of a task has printed up to now: from its worker while it runs, else from the store. */
export async function logSoFar(
  task: TaskRecord,
  { store, live }: { store: Pick<TaskStore, 'readOutput'>; live: LiveOutput },
): Promise<LogSoFar> {
  if (task.state === 'running') {
    const running = await fromWorker(task.taskId, live);
    if (running && running.attempt >= task.attempt) return running;
  }
  const record = readRecord((await store.readOutput(task.taskId)) ?? Buffer.alloc(0));
  // Of an earlier attempt, when the last one printed nothing.
  return record.attempt === task.attempt ? record : { attempt: task.attempt, pieces: [], truncated: false };
}

async function fromWorker(taskId: string, live: LiveOutput): Promise<LogSoFar | undefined> {
  const pieces: OutputPiece[] = [];
  const tail = live.follow(taskId, (more) => pieces.push(...more));
  try {
    const endMs = performance.now() + ANSWER_MS;
    while (!tail.isUpToDate && performance.now() < endMs) await sleep(LOOK_MS);
    if (!tail.isUpToDate) return undefined;
    await sleep(AFTER_ANSWER_MS);
    return { attempt: tail.attempt, pieces, truncated: tail.truncated };
  } finally {
    tail.close();
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
