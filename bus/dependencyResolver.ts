import type { SettledTask } from './controlMessages.js';
import type { Dependency, DependencyEnd, NewTask, TaskStore, TerminalState } from './taskStore.js';
import { isTerminal } from './taskStore.js';
import type { TransitionLog } from './transitionLog.js';

export interface DependencyResolverDeps {
  store: Pick<TaskStore, 'awaitDependencies' | 'resolveDependencies' | 'findBlocked'>;
  transition: TransitionLog;
  /** So many tasks can be claimed now; 0 when there are delayed ones alone. */
  queued: (count: number) => void;
  /** Tasks have failed because of what they depended on. */
  settled: (tasks: SettledTask[]) => void;
  onError: (error: unknown) => void;
}

/** A task has ended, and these wait for it. */
export interface EndedTask {
  taskId: string;
  state: TerminalState;
  dependents: readonly string[];
}

/** Of one event; an id and what is around it are less than 100 bytes. */
const MAX_SETTLED = 5_000;

/**
 * Tells blocked tasks of the ends of those they depend on. Every process that ends tasks has one, and so has every process that
 * accepts them.
 *
 * A task and what it depends on may lie in different shards, which no one step spans. So ends are told after they are recorded, and a
 * crash between the two loses the news, no more: each step can be repeated, and the monitor's `sweep` looks at every blocked task again
 * and again.
 */
export class DependencyResolver {
  constructor(private readonly deps: DependencyResolverDeps) {}

  /** These were accepted; resolves when they have been told of what ended before. Never rejects: they are in the store in any case. */
  async accepted(tasks: readonly NewTask[]): Promise<void> {
    const waits = tasks.flatMap(({ taskId, dependsOn = [] }) =>
      dependsOn.map((dependency) => ({ taskId, dependency })),
    );
    await this.look(waits);
  }

  /** Those that wait for these tasks are told. */
  ended(ends: readonly EndedTask[]): void {
    if (ends.length === 0) return;
    const told = ends.flatMap(({ taskId: dependency, state, dependents }) =>
      dependents.map((taskId) => ({ taskId, dependency, state })),
    );
    void this.guarded(() => this.resolve(told));
  }

  /** Finds what a crash has kept from blocked tasks: a bounded part of them, to be called now and then. */
  async sweep(): Promise<void> {
    await this.guarded(async () => {
      await this.lookAt(await this.deps.store.findBlocked());
    });
  }

  private look(waits: Dependency[]): Promise<void> {
    return waits.length === 0 ? Promise.resolve() : this.guarded(() => this.lookAt(waits));
  }

  private async lookAt(waits: Dependency[]): Promise<void> {
    if (waits.length === 0) return;
    const states = await this.deps.store.awaitDependencies(waits);
    const ends = waits.flatMap((wait, index): DependencyEnd[] => {
      const state = states[index];
      return state === undefined || isTerminal(state) ? [{ ...wait, state }] : [];
    });
    await this.resolve(ends);
  }

  /** Goes on with those that wait for what fails. */
  private async resolve(ends: DependencyEnd[]): Promise<void> {
    let told = ends;
    while (told.length > 0) {
      const resolutions = await this.deps.store.resolveDependencies(told);
      const next: DependencyEnd[] = [];
      const failed: SettledTask[] = [];
      let queued = 0;
      let delayed = 0;
      told.forEach(({ taskId }, index) => {
        const resolution = resolutions[index];
        if (!resolution) return;
        const { to } = resolution;
        const event = to === 'failed' ? 'task.dependencyFailed' : 'task.unblocked';
        this.deps.transition('task', taskId, 'blocked', event, to);
        if (to === 'queued') queued++;
        if (to === 'delayed') delayed++;
        if (to !== 'failed') return;
        failed.push({ taskId, state: 'failed' });
        for (const dependent of resolution.dependents) {
          next.push({ taskId: dependent, dependency: taskId, state: 'failed' });
        }
      });
      if (queued + delayed > 0) this.deps.queued(queued);
      for (let at = 0; at < failed.length; at += MAX_SETTLED) this.deps.settled(failed.slice(at, at + MAX_SETTLED));
      told = next;
    }
  }

  private async guarded(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.deps.onError(error); // The store is away; the sweep tells them when it is back.
    }
  }
}
