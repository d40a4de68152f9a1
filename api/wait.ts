import { PlatformError } from '../bus/errors.js';
import { isTerminal, type TaskOutcome } from '../bus/taskStore.js';

/**
 * One client's wait for tasks, as `SettledTasks` keeps it: open -> ended, by the last outcome, an unknown id, too large an
 * answer, or `end` (time over, client gone, server stopping). What comes later is ignored.
 */
export class Wait {
  /** The ids, each once. */
  readonly taskIds: readonly string[];
  readonly unendedIds: Set<string>;
  readonly ended: Promise<void>;
  /** Whether `ended` has resolved, or is about to. */
  isOver = false;
  /** Ends the wait; a function of its own so that it serves as a listener. */
  readonly end: () => void;
  private readonly outcomes = new Map<string, TaskOutcome>();
  private answerBytes = 0;
  private failure: PlatformError | undefined;

  constructor(
    taskIds: readonly string[],
    private readonly maxAnswerBytes: number,
    private readonly onOutcome?: (outcome: TaskOutcome) => void,
  ) {
    this.unendedIds = new Set(taskIds);
    this.taskIds = [...this.unendedIds];
    let end: () => void = () => undefined;
    this.ended = new Promise((resolve) => (end = resolve));
    this.end = () => {
      this.isOver = true;
      end();
    };
  }

  get hasFailed(): boolean {
    return this.failure !== undefined;
  }

  /** What has become known of a task; undefined when nobody knows it, which ends the wait. */
  know(taskId: string, outcome: TaskOutcome | undefined): void {
    if (!this.unendedIds.has(taskId) || this.failure) return;
    if (outcome === undefined) {
      this.outcomes.delete(taskId);
      this.end();
      return;
    }
    this.outcomes.set(taskId, outcome);
    if (!isTerminal(outcome.state)) return;
    this.unendedIds.delete(taskId);
    this.answerBytes += outcome.payload.length;
    if (this.answerBytes > this.maxAnswerBytes) {
      this.fail();
      return;
    }
    this.onOutcome?.(outcome);
    if (this.unendedIds.size === 0) this.end();
  }

  /** @throws PlatformError ANSWER_TOO_LARGE */
  answer(taskIds: readonly string[]): (TaskOutcome | undefined)[] {
    if (this.failure) throw this.failure;
    return taskIds.map((taskId) => this.outcomes.get(taskId));
  }

  private fail(): void {
    const limit = Math.floor(this.maxAnswerBytes / (1024 * 1024));
    const count = this.taskIds.length;
    this.failure = new PlatformError(
      'ANSWER_TOO_LARGE',
      `The results of these ${count} tasks are more than ${limit} MiB together.`,
    );
    this.outcomes.clear();
    this.end();
  }
}
