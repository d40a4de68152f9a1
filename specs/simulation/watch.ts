import { shortId, shortRef } from './describeMessage.js';
import type { DispatcherHost, SupervisorHost } from './hosts.js';
import type { Ledger } from './ledger.js';

export interface WatchDeps {
  ledger: Ledger;
  dispatchers: readonly DispatcherHost[];
  supervisors: readonly SupervisorHost[];
  heartbeatMs: number;
  leaseMs: number;
}

/**
 * In which a blocked task is told of an end whatever was lost: the monitor looks at it again after 5 s at most, when it reaps, which it
 * does every second. A call that it had begun before may take 5 s to fail.
 */
const TOLD_WITHIN_MS = 12_000;

/**
 * Looks from outside at what actors hold: that attempts which have lost their fence are stopped in time, that blocked
 * tasks go on when they can, and that in the end nobody holds anything.
 */
export class Watch {
  /** Since when nothing goes wrong any more. */
  calmSinceMs = Infinity;
  /** Since when attempts run though their fence is not the task's any more. */
  private readonly overdue = new Map<string, number>();
  private readonly boundMs: number;
  /** Since when blocked tasks could be told of what they wait for. */
  private readonly untold = new Map<string, number>();

  constructor(private readonly deps: WatchDeps) {
    // A dispatcher asks the store for each attempt every third of a lease; a lost link is noticed after four heartbeats.
    this.boundMs = deps.leaseMs / 3 + 8 * deps.heartbeatMs;
  }

  look(nowMs: number): void {
    this.lookForOverdue(nowMs);
    this.lookForGrowth();
    this.lookForUntold(nowMs);
  }

  private lookForUntold(nowMs: number): void {
    const { ledger } = this.deps;
    const now = new Set(ledger.untold.map(({ task }) => task.taskId));
    for (const taskId of this.untold.keys()) if (!now.has(taskId)) this.untold.delete(taskId);
    for (const taskId of now) {
      const sinceMs = this.untold.get(taskId) ?? nowMs;
      this.untold.set(taskId, sinceMs);
      const waitedMs = nowMs - Math.max(sinceMs, this.calmSinceMs);
      if (waitedMs > TOLD_WITHIN_MS) {
        const detail = `${shortId(taskId)} is blocked by nothing, and has been for ${Math.round(waitedMs)} ms`;
        ledger.violated('what others have blocked goes on in time', detail);
      }
    }
  }

  private lookForOverdue(nowMs: number): void {
    const seen = new Set<string>();
    for (const { isUp, process, pool } of this.deps.supervisors) {
      if (!isUp || !process || process.paused || !pool) continue;
      for (const { taskId, fence } of pool.runningOrders) {
        if (this.deps.ledger.isCurrent(taskId, fence)) continue;
        const key = `${process.name} ${taskId} ${fence}`;
        seen.add(key);
        const sinceMs = this.overdue.get(key) ?? nowMs;
        this.overdue.set(key, sinceMs);
        const overdueMs = nowMs - Math.max(sinceMs, this.calmSinceMs);
        if (overdueMs > this.boundMs) {
          const detail = `${process.name} still runs ${shortRef({ taskId, fence })}, ${Math.round(overdueMs)} ms after it lost it`;
          this.deps.ledger.violated('what was refused is stopped', detail);
        }
      }
    }
    for (const key of this.overdue.keys()) if (!seen.has(key)) this.overdue.delete(key);
  }

  /** However often things are repeated, nobody holds more than running and ended attempts of each task. */
  private lookForGrowth(): void {
    const { ledger, supervisors, dispatchers } = this.deps;
    const tasks = ledger.entries.size;
    for (const { name, isUp, supervisor } of supervisors) {
      if (isUp && supervisor && supervisor.holding > 2 * tasks) {
        ledger.violated('queues are bounded', `${name} holds ${supervisor.holding} attempts of ${tasks} tasks`);
      }
    }
    for (const { name, isUp, dispatcher } of dispatchers) {
      if (isUp && dispatcher && dispatcher.settler.pending > 2 * tasks) {
        ledger.violated(
          'queues are bounded',
          `${name} has ${dispatcher.settler.pending} results of ${tasks} tasks to settle`,
        );
      }
    }
  }

  /** What somebody still holds, in words. */
  leftBehind(): string | undefined {
    for (const { isUp, name, supervisor } of this.deps.supervisors) {
      if (isUp && supervisor && supervisor.holding > 0) return `${name} holds ${supervisor.holding} attempts`;
    }
    for (const { isUp, name, dispatcher } of this.deps.dispatchers) {
      if (!isUp || !dispatcher) continue;
      if (dispatcher.settler.pending > 0) return `${name} has ${dispatcher.settler.pending} results to settle`;
      const inFlight = dispatcher.table.inFlightCount();
      if (inFlight > 0) return `${name} believes that ${inFlight} attempts are in flight`;
    }
    return undefined;
  }
}
