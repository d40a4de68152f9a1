import { MAX_STEP_BYTES } from '../bus/batches.js';
import { OneWriter } from '../bus/oneWriter.js';
import type { DependencyResolver } from '../bus/dependencyResolver.js';
import { PlatformError } from '../bus/errors.js';
import type { ProcessMetrics } from '../bus/metrics.js';
import type { NewTask, SubmitVerdict, TaskStore } from '../bus/taskStore.js';
import type { TransitionLog } from '../bus/transitionLog.js';

const MAX_BATCH_TASKS = 500;

/** What a dependency costs Redis beside bytes: bounds how long one batch keeps it busy. */
const DEPENDENCY_BYTES = 4_096;

interface SubmitterOptions {
  store: TaskStore;
  /** Tells dispatchers of `count` tasks in the queue that none of them has been handed; 0 when there are delayed ones alone. */
  announceQueued: (count: number) => void;
  transition: TransitionLog;
  /** Tells tasks that depend on others what has ended already. */
  dependencies: Pick<DependencyResolver, 'accepted'>;
  counts?: ProcessMetrics;
}

/** One caller's tasks, which may lie in several batches: it is answered when the last of them is in the store. */
interface Submission {
  /** Of the request, for the log. */
  requestId: string | undefined;
  unwritten: number;
  unwrittenBytes: number;
  /** Nothing more of it is written. */
  isRefused: boolean;
  resolve: () => void;
  reject: (error: unknown) => void;
}

interface Entry {
  task: NewTask;
  submission: Submission;
}

/**
 * The API's wire to the store for new tasks: those of all requests that come in while one batch is being written make up the
 * next one.
 */
export class Submitter {
  private readonly writer: OneWriter<Entry>;

  constructor(private readonly options: SubmitterOptions) {
    this.writer = new OneWriter<Entry>((batch) => this.write(batch), {
      maxItems: MAX_BATCH_TASKS,
      maxBytes: MAX_STEP_BYTES,
      sizeOf: ({ task }) => task.arguments.length + DEPENDENCY_BYTES * (task.dependsOn?.length ?? 0),
      onError: () => undefined, // `write` answers its submissions itself, failed or not.
    });
  }

  /**
   * Resolves when all the tasks are in the store.
   * @throws PlatformError QUOTA_EXCEEDED; STORE_UNAVAILABLE, TOO_MANY_REQUIREMENTS: some of them may be in the store, and then run.
   */
  submit(tasks: readonly NewTask[], requestId?: string): Promise<void> {
    if (tasks.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const unwrittenBytes = tasks.reduce((sum, task) => sum + task.arguments.length, 0);
      const submission: Submission = {
        ...{ requestId, unwritten: tasks.length, unwrittenBytes, isRefused: false },
        ...{ resolve, reject },
      };
      for (const task of tasks) {
        if (task.tenant !== undefined) task.request = submission;
        this.writer.push({ task, submission });
      }
    });
  }

  private async write(gathered: Entry[]): Promise<void> {
    const batch = gathered.filter(({ submission }) => !submission.isRefused);
    if (batch.length === 0) return;
    const { store, announceQueued, transition, dependencies, counts } = this.options;
    counts?.batches.submit.observe(batch.length);
    const states = batch.map(({ task }) => stateOf(task));
    const claimable = states.filter((state) => state === 'queued').length;
    let verdicts: SubmitVerdict[];
    try {
      let handedOver = 0;
      verdicts = await store.submit(
        batch.map(({ task }) => task),
        (count) => (handedOver += count),
      );
      const waiting = Math.max(0, claimable - handedOver);
      if (waiting > 0 || states.includes('delayed')) announceQueued(waiting);
      batch.forEach(({ task, submission: { requestId } }, index) => {
        if (verdicts[index] !== 'accepted') return;
        const details = { function: task.functionId, requestId };
        transition('task', task.taskId, 'new', 'task.submitted', stateOf(task), details);
      });
      const blocked = batch.flatMap(({ task }, index) =>
        task.dependsOn && !((verdicts[index] as SubmitVerdict) in REFUSALS) ? [task] : [],
      );
      if (blocked.length > 0) await dependencies.accepted(blocked);
    } catch (error) {
      for (const { submission } of batch) submission.reject(error);
      return;
    }
    batch.forEach(({ task, submission }, index) => {
      submission.unwritten--;
      submission.unwrittenBytes -= task.arguments.length;
      const refusal = REFUSALS[verdicts[index] as keyof typeof REFUSALS] as (() => PlatformError) | undefined;
      if (refusal) {
        submission.isRefused = true;
        submission.reject(refusal());
      } else if (submission.unwritten === 0) submission.resolve();
    });
  }
}

const REFUSALS = {
  refused: () =>
    new PlatformError(
      'TOO_MANY_REQUIREMENTS',
      'Tasks with too many different combinations of labels and Python versions are waiting already; some tasks of this request were not taken.',
    ),
  tooMany: () => overQuota('tasks'),
  tooLarge: () => overQuota('bytes of arguments'),
};

/** How soon there may be room: what waits is run meanwhile. */
const QUEUE_RETRY_SECONDS = 5;
const overQuota = (what: string): PlatformError =>
  new PlatformError('QUOTA_EXCEEDED', `With this request its tenant would have more ${what} waiting than it may.`, {
    retryAfterSeconds: QUEUE_RETRY_SECONDS,
  });

const stateOf = ({ dependsOn, delayMs }: NewTask): 'blocked' | 'queued' | 'delayed' =>
  dependsOn ? 'blocked' : delayMs === 0 ? 'queued' : 'delayed';
