import { every } from '../../actors/clock.js';
import type { Bus } from '../../bus/bus.js';
import { mustExist } from '../../api/dependencies.js';
import type { ControlMessage } from '../../bus/controlMessages.js';
import { DependencyResolver } from '../../bus/dependencyResolver.js';
import type { NewTask, TaskStore } from '../../bus/taskStore.js';
import type { Ledger } from './ledger.js';
import type { VirtualClock } from './virtualClock.js';

/** Pause before a client asks again whom the API has answered 503. */
const RETRY_MS = 700;

/**
 * An API with its clients: submits, cancels, and tells by events, as `api/` does, and asks again where the answer was "unknown".
 * The first submission of a task mints its id; a repeat finds it there.
 */
export class Client {
  /** Tasks and cancellations that have not been answered. */
  private unanswered = 0;
  private readonly dependencies: DependencyResolver;

  constructor(
    private readonly deps: {
      store: TaskStore;
      control: Bus<ControlMessage, ControlMessage>;
      clock: VirtualClock;
      ledger: Ledger;
      onError: (error: unknown) => void;
    },
  ) {
    const { store, control, onError } = deps;
    this.dependencies = new DependencyResolver({
      store,
      transition: () => undefined,
      queued: (count) => {
        control.send('tasks.queued', { type: 'tasks.queued', count });
      },
      settled: () => undefined, // Its own clients are not simulated.
      onError,
    });
  }

  get isDone(): boolean {
    return this.unanswered === 0;
  }

  submit(tasks: NewTask[]): void {
    this.untilAnswered(async () => {
      const { store, control, ledger } = this.deps;
      // What it depends on may be submitted later than planned: then the API answers 404 until it is there.
      await mustExist(tasks, store, undefined);
      let handedOver = 0;
      const verdicts = await store.submit(tasks, (count) => (handedOver += count));
      ledger.accepted(tasks.map(({ taskId }) => taskId));
      const claimable = tasks.filter(
        ({ delayMs, dependsOn }, index) => delayMs === 0 && !dependsOn && verdicts[index] === 'accepted',
      ).length;
      const waiting = claimable - handedOver;
      if (waiting > 0) control.send('tasks.queued', { type: 'tasks.queued', count: waiting });
      await this.dependencies.accepted(tasks);
      return true;
    });
  }

  /** Until it is known to have ended: a task whose submission has not been answered yet may still come. */
  cancel(taskId: string): void {
    this.deps.ledger.cancelRequested(taskId);
    this.untilAnswered(async () => {
      const { store, control } = this.deps;
      const [verdict] = await store.cancel([taskId]);
      if (verdict?.cancelled !== true) return verdict?.reason === 'terminal';
      const { fence, dependents } = verdict;
      if (dependents) this.dependencies.ended([{ taskId, state: 'cancelled', dependents }]);
      if (verdict.from === 'running')
        control.send('tasks.cancelled', { type: 'tasks.cancelled', tasks: [{ taskId, fence }] });
      return true;
    });
  }

  private untilAnswered(ask: () => Promise<boolean>): void {
    this.unanswered++;
    let asking = false;
    const attempt = async (): Promise<void> => {
      if (asking) return;
      asking = true;
      const answered = await ask().catch(() => false);
      asking = false;
      if (!answered) return;
      stop();
      this.unanswered--;
    };
    const stop = every(this.deps.clock, RETRY_MS, () => void attempt());
    void attempt();
  }
}
