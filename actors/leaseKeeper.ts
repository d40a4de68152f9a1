import type { TaskRef } from '../bus/messages.js';
import type { ProcessMetrics } from '../bus/metrics.js';
import type { TaskStore } from '../bus/taskStore.js';
import type { Clock } from './clock.js';
import type { InFlight, WorkerConnection } from './workerConnection.js';

/** The first renewal comes early: it tells Redis which worker has the task, which people look for when a task runs long. */
const FIRST_RENEWAL_MS = 1_000;

export interface LeaseKeeperDeps {
  store: Pick<TaskStore, 'renew'>;
  clock: Clock;
  counts: ProcessMetrics;
  /** The fences of these no longer hold: the worker must stop them. They are forgotten here already. */
  refused: (worker: WorkerConnection, tasks: TaskRef[]) => void;
  /**
   * For a whole lease no renewal has got through: others may take the tasks now. Told at each renewal that fails, since a worker may
   * reconnect meanwhile, and not have been told.
   */
  cutOff: () => void;
  onError: (error: unknown) => void;
}

/** Renews the leases of what workers run, three times per lease, in one batch for all workers. */
export class LeaseKeeper {
  private renewing = false;

  constructor(
    private readonly leaseMs: number,
    private readonly workers: { all(): Iterable<WorkerConnection> },
    private readonly deps: LeaseKeeperDeps,
  ) {}

  /** Called every heartbeat. Does not overlap with itself; a failure is made good by the next call. */
  async renewDue(): Promise<void> {
    if (this.renewing) return;
    this.renewing = true;
    try {
      const due = this.collectDue();
      if (due.length === 0) return;
      const startedAtMs = this.deps.clock.now();
      const verdicts = await this.deps.store.renew(
        due.map(({ worker, task }) => ({ taskId: task.taskId, fence: task.fence, worker: worker.name })),
      );
      const refused = new Map<WorkerConnection, TaskRef[]>();
      due.forEach(({ worker, task }, index) => {
        if (verdicts[index]) {
          task.renewedAtMs = startedAtMs;
          this.deps.counts.leasesRenewed++;
        }
        // A result may have arrived meanwhile; then there is nothing to stop.
        else if (worker.remove(task)) refused.set(worker, [...(refused.get(worker) ?? []), task]);
      });
      for (const [worker, tasks] of refused) this.deps.refused(worker, tasks);
    } catch (error) {
      this.deps.onError(error);
      this.fenceItself();
    } finally {
      this.renewing = false;
    }
  }

  /**
   * What is running goes on, since its result may still be the first. What waits on the workers is not started any more: another
   * dispatcher may have it by now, and it would run twice for nothing.
   */
  private fenceItself(): void {
    const oldest = this.deps.clock.now() - this.leaseMs;
    if (this.collectDue().some(({ task }) => task.renewedAtMs < oldest)) this.deps.cutOff();
  }

  private collectDue(): { worker: WorkerConnection; task: InFlight }[] {
    const now = this.deps.clock.now();
    const interval = this.leaseMs / 3;
    const due: { worker: WorkerConnection; task: InFlight }[] = [];
    for (const worker of this.workers.all()) {
      for (const task of worker.inFlightTasks.values()) {
        const renewedBefore = task.renewedAtMs !== task.sentAtMs;
        if (now - task.renewedAtMs >= (renewedBefore ? interval : Math.min(interval, FIRST_RENEWAL_MS)))
          due.push({ worker, task });
      }
    }
    return due;
  }
}
