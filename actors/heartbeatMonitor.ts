import type { Actor } from 'xstate';
import type { Bus } from '../bus/bus.js';
import type { ControlMessage, WorkerBeat } from '../bus/controlMessages.js';
import type { Reaped, TaskStore } from '../bus/taskStore.js';
import type { ProcessMetrics } from '../bus/metrics.js';
import { DependencyResolver } from '../bus/dependencyResolver.js';
import type { TransitionLog } from '../bus/transitionLog.js';
import { type Clock, every } from './clock.js';
import { runMachine } from './lifecycles/runMachine.js';
import { workerMachine, type WorkerTimings } from './lifecycles/workerMachine.js';

export interface HeartbeatMonitorOptions {
  reapMs: number;
  timings: WorkerTimings;
}

export interface HeartbeatMonitorDeps {
  store: Pick<
    TaskStore,
    | 'reap'
    | 'awaitDependencies'
    | 'resolveDependencies'
    | 'findBlocked'
    | 'readWorkers'
    | 'forgetWorkers'
    | 'readDispatchers'
    | 'forgetDispatchers'
    | 'sweep'
  >;
  control: Bus<ControlMessage, ControlMessage>;
  clock: Clock;
  transition: TransitionLog;
  counts?: ProcessMetrics;
  onError: (error: unknown) => void;
  /** Leases are not enforced, since the living may have been unable to renew them; or they are again. */
  onPaused: (paused: boolean) => void;
}

/** The record of a worker or dispatcher that nobody has heard of for so long is removed from Redis. */
const RECORD_KEPT_MS = 60_000;
const CLEANUP_MS = 10_000;
/** Whoever can write to NATS can claim that there are workers; beyond so many they are not watched, and leases alone tell. */
export const MAX_WATCHED = 10_000;
/** What dispatchers make of a name is shorter. */
const MAX_NAME_LENGTH = 200;

/**
 * Watches over workers and leases.
 *
 * Each worker that dispatchers report heartbeats of has its lifecycle machine here: suspect after 2 missed, lost after 3; then its
 * loss is published, and the dispatcher that knows it, and agrees, takes its tasks away at once. Where no dispatcher is left to do
 * so, the leases run out, and `reap` puts the tasks back into the queue.
 *
 * Several monitors do no harm: a loss told twice is acted on once, and reaping is one atomic step in Redis.
 */
export class HeartbeatMonitor {
  private readonly workers = new Map<string, Actor<typeof workerMachine>>();
  private readonly stops: (() => void)[] = [];
  private reaping = false;
  private readonly dependencies: DependencyResolver;
  private paused = false;

  constructor(
    private readonly options: HeartbeatMonitorOptions,
    private readonly deps: HeartbeatMonitorDeps,
  ) {
    const { control } = deps;
    this.dependencies = new DependencyResolver({
      ...deps,
      queued: (count) => {
        control.send('tasks.queued', { type: 'tasks.queued', count });
      },
      settled: (tasks) => {
        control.send('tasks.settled', { type: 'tasks.settled', tasks });
      },
    });
  }

  start(): void {
    this.deps.control.listen((message) => {
      this.onControl(message);
    });
    this.stops.push(every(this.deps.clock, this.options.reapMs, () => void this.reap()));
    this.stops.push(every(this.deps.clock, CLEANUP_MS, () => void this.cleanUp()));
  }

  stop(): void {
    for (const stop of this.stops.splice(0)) stop();
    for (const worker of this.workers.values()) worker.stop();
    this.workers.clear();
  }

  private onControl(message: ControlMessage): void {
    if (message.type === 'worker.heartbeats') for (const beat of message.workers) this.onBeat(beat);
  }

  private onBeat(beat: WorkerBeat): void {
    if (beat.state === 'gone') {
      this.workers.get(beat.name)?.send({ type: 'worker.left' });
      return;
    }
    const worker = this.workers.get(beat.name) ?? this.watch(beat.name);
    if (!worker) return;
    const { value } = worker.getSnapshot();
    if (value === 'joining') worker.send({ type: 'worker.joined' });
    if (beat.state === 'draining' && value !== 'draining') worker.send({ type: 'worker.draining' });
    worker.send({ type: 'worker.beat', hasWork: beat.running > 0 });
  }

  private watch(name: string): Actor<typeof workerMachine> | undefined {
    if (this.workers.size >= MAX_WATCHED || name === '' || name.length > MAX_NAME_LENGTH) return undefined;
    const { clock, transition } = this.deps;
    const worker = runMachine(workerMachine, { machine: 'worker', id: name, transition, clock }, this.options.timings);
    worker.subscribe(({ value }) => {
      if (value !== 'lost' && value !== 'gone') return;
      this.workers.delete(name);
      if (value === 'lost') this.deps.control.send('worker.lost', { type: 'worker.lost', worker: name });
    });
    this.workers.set(name, worker);
    return worker;
  }

  private async reap(): Promise<void> {
    if (this.reaping) return;
    this.reaping = true;
    try {
      // Sent together: two answers one after the other would wake this process twice.
      const [reaped] = await Promise.all([this.deps.store.reap(), this.dependencies.sweep()]);
      if (reaped.paused !== this.paused) this.deps.onPaused(reaped.paused);
      this.paused = reaped.paused;
      this.announce(reaped.tasks);
    } catch (error) {
      this.deps.onError(error);
    } finally {
      this.reaping = false;
    }
  }

  private announce(tasks: Reaped['tasks']): void {
    const { counts } = this.deps;
    if (counts) counts.leasesReaped += tasks.length;
    for (const { taskId, to, attempt, failure } of tasks) {
      if (to === 'failed') counts?.failed(failure?.type ?? 'WorkerFailure');
      this.deps.transition('task', taskId, 'running', 'task.interrupted', to, { attempt, reason: 'lease expired' });
    }
    const failed = tasks
      .filter(({ to }) => to === 'failed')
      .map(({ taskId }) => ({ taskId, state: 'failed' as const }));
    const queued = tasks.length - failed.length;
    this.dependencies.ended(
      tasks.flatMap(({ taskId, dependents }) => (dependents ? [{ taskId, state: 'failed', dependents }] : [])),
    );
    if (failed.length > 0) this.deps.control.send('tasks.settled', { type: 'tasks.settled', tasks: failed });
    if (queued > 0) this.deps.control.send('tasks.queued', { type: 'tasks.queued', count: queued });
  }

  private async cleanUp(): Promise<void> {
    try {
      const oldest = this.deps.clock.wallMs() - RECORD_KEPT_MS;
      const records = await this.deps.store.readWorkers();
      await this.deps.store.forgetWorkers(
        records.filter(({ heartbeatAtMs }) => heartbeatAtMs < oldest).map(({ name }) => name),
      );
      const dispatchers = await this.deps.store.readDispatchers();
      await this.deps.store.forgetDispatchers(
        dispatchers.filter(({ heartbeatAtMs }) => heartbeatAtMs < oldest).map(({ id }) => id),
      );
      await this.deps.store.sweep();
    } catch (error) {
      this.deps.onError(error);
    }
  }
}
