import type { Address } from '../bus/bus.js';
import type { ControlMessage } from '../bus/controlMessages.js';
import { DependencyResolver } from '../bus/dependencyResolver.js';
import type { TaskRef, TaskResult, WorkerMessage } from '../bus/messages.js';
import { Acknowledger } from './acknowledger.js';
import { Cancellations } from './cancellations.js';
import { ClaimLoop } from './claimLoop.js';
import { every } from './clock.js';
import type { DispatcherDeps, DispatcherOptions } from './dispatcherDeps.js';
import { DispatcherDirectory } from './dispatcherDirectory.js';
import { DispatcherReports } from './dispatcherReports.js';
import { FunctionCache } from './functionCache.js';
import { JoinGate } from './joinGate.js';
import { LeaseKeeper } from './leaseKeeper.js';
import { Lookout } from './lookout.js';
import { OutputFollowers } from './outputFollowers.js';
import { Releaser } from './releaser.js';
import { RunTimes } from './runTimes.js';
import { reported, Settler, unstarted, workerLost } from './settler.js';
import type { InFlight, WorkerConnection, WorkerHeartbeat } from './workerConnection.js';
import { WorkerTable } from './workerTable.js';

/** A claim stands until it is renewed, at least once a heartbeat: a dispatcher that has missed so many is not handed anything. */
const STAND_HEARTBEATS = 2.5;
/** For so long a dispatcher that stops waits for the store, once to be handed nothing any more, and once for all to be written. */
const LAST_WORD_MS = 1_000;

/**
 * Takes tasks from the queue, gives them to workers, and brings their results into Redis.
 *
 * It holds nothing that Redis and the workers do not have as well: when it dies, workers keep running and hold their results
 * until another dispatcher, or its successor, has adopted them (`WorkerTable.join`).
 *
 * This class is the switchboard: messages of workers, control events and time come in here and go on to whom they concern, the
 * claim loop (tasks to workers), the settler (results to Redis), the worker table and the lease keeper.
 */
export class Dispatcher {
  readonly settler: Settler;
  readonly table: WorkerTable;
  private readonly runTimes = new RunTimes();
  private readonly claims: ClaimLoop;
  private readonly lookout: Lookout;
  private readonly leases: LeaseKeeper;
  private readonly releaser: Releaser;
  private readonly acknowledger: Acknowledger;
  private readonly gate: JoinGate;
  private readonly cancellations: Cancellations;
  private readonly followers: OutputFollowers;
  private readonly others: DispatcherDirectory;
  readonly reports: DispatcherReports;
  private readonly stops: (() => void)[] = [];
  private draining = false;

  constructor(
    private readonly options: DispatcherOptions,
    private readonly deps: DispatcherDeps,
  ) {
    const { store, clock, transition, counts, tracer, onError } = deps;
    this.others = new DispatcherDirectory(clock);
    this.table = new WorkerTable(
      { dispatcherId: options.id, heartbeatMs: options.heartbeatMs, timings: options.timings },
      {
        ...deps,
        dispatchers: () => this.others.urls(),
        onJoined: () => {
          this.claims.wake();
        },
        onLost: (worker, tasks) => {
          this.interrupt(worker, tasks);
          this.claims.wake();
        },
        onNotHeld: (worker, tasks) => {
          this.release(worker, tasks);
        },
      },
    );
    this.gate = new JoinGate(
      (hello, from) => this.table.join(hello, from),
      (message, from) => {
        this.onWorkerMessage(message, from);
      },
      onError,
    );
    this.acknowledger = new Acknowledger(clock, (worker, settled) => {
      this.table.tell(worker, { type: 'acknowledge', settled });
    });
    const acknowledge = (worker: string, settled: TaskRef): void => {
      this.acknowledger.push(worker, settled);
    };
    const publish = (message: ControlMessage): void => deps.control.send(message.type, message);
    const dependencies = new DependencyResolver({
      ...{ store, transition, onError },
      queued: (count) => {
        this.claims.wake();
        publish({ type: 'tasks.queued', count });
      },
      settled: (tasks) => publish({ type: 'tasks.settled', tasks }),
    });
    this.settler = new Settler({
      ...{ store, clock, transition, onError, counts, tracer, publish, acknowledge },
      written: () => this.claims.pause(),
      roomAgain: () => this.claims.wake(),
      requeued: () => this.claims.wake(),
      awaited: (ends) => dependencies.ended(ends),
      ended: (...end) => this.reports.count(...end),
      ...(deps.onRefused && { refused: deps.onRefused }),
    });
    this.reports = new DispatcherReports({ id: options.id, mode: options.mode }, this.table, this.settler, deps);
    this.leases = new LeaseKeeper(options.leaseMs, this.table, {
      ...{ store, clock, onError, counts },
      refused: (worker, tasks) => {
        deps.onRefused?.({ stale: tasks.length, duplicate: 0 });
        deps.workers.send(worker.address, { type: 'abort', tasks });
      },
      cutOff: () => {
        this.table.takeAllBack();
      },
    });
    this.releaser = new Releaser({
      ...{ store, clock, transition, onError, counts },
      acknowledge,
      onReleased: (count) => {
        // Others can have what this one gives back and does not take again.
        if (this.draining) deps.control.send('tasks.queued', { type: 'tasks.queued', count });
        this.claims.wake();
      },
    });
    const all = (): Iterable<WorkerConnection> => this.table.all();
    this.followers = new OutputFollowers({ ...deps, all });
    this.cancellations = new Cancellations({ ...deps, all });
    const standMs = STAND_HEARTBEATS * options.heartbeatMs;
    this.claims = new ClaimLoop({ ...options, standMs }, this.table, {
      ...deps,
      functions: new FunctionCache(store, options.functionCacheBytes),
      runTimes: this.runTimes,
      mayClaim: () => !this.settler.isFull(),
      cancellations: this.cancellations,
      followers: this.followers,
      release: (worker, tasks) => {
        this.release(worker, tasks);
      },
      fail: (failed) => {
        for (const { task, failure } of failed) this.settler.push(unstarted(task, 'task.raised', '', failure));
      },
    });
    this.lookout = new Lookout(options, {
      ...{ store, clock, onError },
      look: () => {
        this.claims.wake();
      },
    });
  }

  start(): void {
    const { workers, control, clock } = this.deps;
    this.lookout.news();
    workers.listen((message, from) => {
      this.onWorkerMessage(message, from);
    });
    control.listen((message) => {
      this.onControl(message);
    });
    this.stops.push(
      every(clock, this.options.heartbeatMs, () => {
        this.beat();
      }),
    );
    this.claims.start();
  }

  /**
   * Claims no more, takes back what has not started, waits for the rest to end, at most `graceMs`. What still runs then is kept by
   * its workers for the next dispatcher.
   */
  async stop(graceMs: number): Promise<void> {
    if (this.draining) return;
    this.draining = true;
    const { clock } = this.deps;
    this.claims.close();
    this.table.takeAllBack();
    const deadline = clock.now() + graceMs;
    const leaveBy = clock.now() + LAST_WORD_MS;
    const isBusy = () => this.claims.isClaiming || this.table.inFlightCount() + this.settler.pending > 0;
    const isLeaving = () => !this.claims.hasLeft && clock.now() < leaveBy;
    while (isLeaving() || (isBusy() && clock.now() < deadline)) {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 20));
    }
    this.settler.close();
    this.releaser.close();
    let timer: unknown;
    const timeout = new Promise<void>((resolve) => (timer = clock.setTimeout(resolve, LAST_WORD_MS)));
    await Promise.race([Promise.all([this.settler.idle(), this.releaser.idle()]), timeout]);
    clock.clearTimeout(timer); // It would keep the process from ending.
    this.acknowledger.flush();
    for (const stop of this.stops.splice(0)) stop();
    this.lookout.stop();
    this.table.stop();
    await this.reports.forget();
  }

  private onWorkerMessage(message: WorkerMessage, from: Address): void {
    this.table.sender(message, from)?.heard();
    if (this.gate.takes(message, from)) return;
    const worker = this.table.byAddress(from);
    if (!worker) {
      if (message.type !== 'goodbye') this.deps.workers.send(from, { type: 'sayHello', sequence: 0 });
      return;
    }
    switch (message.type) {
      case 'heartbeat':
        this.onHeartbeat(worker, message);
        break;
      case 'results':
        this.onResults(worker, message.results);
        break;
      case 'output':
        this.followers.onOutput(worker, message);
        break;
      case 'printed':
        void this.deps.store.keepOutput(message).catch(this.deps.onError);
        break;
      case 'functionsMissing':
        void this.claims.sendFunctions(worker, message.functionIds);
        break;
      case 'draining':
        worker.send({ type: 'worker.draining' });
        this.claims.wake();
        break;
      case 'hello':
        break; // Taken by the gate.
      case 'goodbye':
        this.release(worker, this.table.leave(worker));
        this.reports.left(worker);
        this.claims.wake();
        break;
      default:
        message satisfies never;
    }
  }

  private onControl(message: ControlMessage): void {
    this.lookout.heard();
    switch (message.type) {
      case 'tasks.queued':
        this.lookout.news();
        this.claims.wake();
        break;
      case 'tasks.cancelled':
        this.cancellations.cancel(message.tasks);
        this.claims.wake();
        break;
      case 'task.follow':
        this.followers.onFollow(message);
        break;
      case 'worker.drain':
        this.table.tell(message.worker, { type: 'drain' });
        break;
      case 'dispatcher.drain':
        if (message.dispatcher === this.options.id) this.deps.onDrainRequested?.();
        break;
      case 'worker.lost':
        this.table.reportedLost(message.worker);
        break;
      case 'component.heartbeat':
        if (message.kind === 'dispatcher' && message.address && message.id !== this.options.id) {
          this.others.heard(message.id, message.address);
        }
        break;
      case 'component.stopped':
        this.others.forget(message.id);
        break;
      case 'tasks.settled':
      case 'task.output':
      case 'worker.heartbeats':
      case 'metrics.asked':
      case 'metrics.report':
        break;
      default:
        message satisfies never;
    }
  }

  private onResults(worker: WorkerConnection, results: TaskResult[]): void {
    this.deps.counts.batches.results.observe(results.length);
    this.lookout.news();
    const released: TaskRef[] = [];
    for (const result of results) {
      const task = worker.remove(result);
      // An attempt unknown here may have been settled before, its acknowledgement lost; its fence tells, in Redis.
      if (result.outcome === 'released') released.push(result);
      else this.settler.push(reported(result, result.outcome, worker.name, task));
      if (task && result.outcome === 'completed') this.runTimes.observe(result.runTimeUs / 1000);
    }
    if (released.length > 0) this.release(worker, released);
    this.claims.moreRoom();
  }

  private interrupt(worker: WorkerConnection, tasks: InFlight[]): void {
    const failure = workerLost(worker.name);
    for (const task of tasks)
      this.settler.push(unstarted(task, 'task.interrupted', worker.name, failure, this.options.id));
  }

  private release(worker: WorkerConnection | undefined, tasks: TaskRef[]): void {
    this.releaser.push(worker?.name ?? '', tasks);
  }

  private onHeartbeat(worker: WorkerConnection, beat: WorkerHeartbeat): void {
    this.deps.counts.heartbeats++;
    this.deps.workers.send(worker.address, { type: 'heartbeat', dispatchers: this.others.urls() });
    if (worker.missesMessages(beat))
      this.deps.workers.send(worker.address, { type: 'sayHello', sequence: worker.runSequence });
  }

  private beat(): void {
    this.table.beat();
    this.lookout.beat();
    void this.leases.renewDue();
    this.followers.expire();
    this.reports.beat(this.draining);
  }
}
