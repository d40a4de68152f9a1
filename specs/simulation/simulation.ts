import { type Breakage, createStore, dispatcherBus } from './breakages.js';
import { Client } from './client.js';
import { DispatcherHost, MonitorHost, SupervisorHost, type Surroundings } from './hosts.js';
import { Incidents } from './incidents.js';
import { Ledger, type Violation } from './ledger.js';
import { MemoryStoreData } from './memoryStoreData.js';
import type { MemoryTaskStore } from './memoryTaskStore.js';
import { Network } from './network.js';
import { type Profile, PROFILES } from './profiles.js';
import { Random } from './random.js';
import { SimulatedStore } from './simulatedStore.js';
import { NO_CALL_FAULTS, StoreServer } from './storeServer.js';
import { Timeline } from './timeline.js';
import { Trace } from './trace.js';
import { settlePromises, SimulatedProcess, VirtualClock } from './virtualClock.js';
import { Watch } from './watch.js';
import { planWorkload } from './workload.js';

export interface SimulationOptions {
  seed: number;
  breakage?: Breakage | undefined;
  /** Reports the events also where nothing was violated. */
  keepEvents?: boolean;
}

export interface SimulationReport {
  seed: number;
  profile: string;
  violation: Violation | undefined;
  /** Over everything that happened, in order. */
  traceHash: string;
  lastEvents: string[];
  totals: SimulationTotals;
}

export interface SimulationTotals {
  tasks: number;
  starts: number;
  staleRefused: number;
  duplicatesRefused: number;
  reaped: number;
  released: number;
  requeued: number;
  unblocked: number;
  dependencyFailed: number;
  foundBySweep: number;
  handedOver: number;
  handOversLost: number;
  incidents: number;
  messagesLost: number;
  eventsLost: number;
  eventsDuplicated: number;
  storeCallsFailed: number;
  steps: number;
  virtualSeconds: number;
}

const HEARTBEAT_MS = 1_000;
const LABELS = ['eu', 'gpu'];
const PYTHONS = [
  { pythonVersion: '3.11.2', pythonImplementation: 'cpython' },
  { pythonVersion: '3.9.16', pythonImplementation: 'pypy' },
] as const;
/** Nothing goes wrong before all actors are there. */
const FAULTS_FROM_MS = 3_000;
const REPORTED_EVENTS = 5_000;

/** One run: everything in it follows from the seed. */
class Simulation {
  private readonly random: Random;
  private readonly timeline = new Timeline();
  private readonly trace = new Trace(() => this.timeline.nowMs);
  private readonly profile: Profile;
  private readonly ledger: Ledger;
  private readonly network: Network;
  private readonly server: StoreServer;
  private readonly store: MemoryTaskStore;
  private readonly dispatchers: DispatcherHost[];
  private readonly supervisors: SupervisorHost[];
  private readonly monitors: MonitorHost[];
  private readonly clients: Client[];
  private readonly incidents: Incidents;
  private readonly watch: Watch;
  private readonly leaseMs: number;
  private readonly data = new MemoryStoreData(1);
  private steps = 0;

  constructor(private readonly options: SimulationOptions) {
    const { timeline, trace, data } = this;
    const random = new Random(options.seed);
    this.random = random;
    this.profile = random.weighted(PROFILES.map((profile) => [profile, profile.weight] as const));
    this.ledger = new Ledger(trace, this.profile);
    const { ledger } = this;
    this.leaseMs = this.profile.restartsNeedACrash ? 15_000 : random.pick([6_000, 10_000, 15_000]);
    this.network = new Network(timeline, random, trace, (error) => {
      ledger.onError('bus', error);
    });
    this.server = new StoreServer(data, timeline, random, trace);
    this.store = createStore(options.breakage, data, {
      leaseMs: this.leaseMs,
      resultTtlSeconds: 86_400,
      nowMs: () => this.server.nowMs(),
      random: () => random.next(),
      onTransition: (task, from, event, to) => {
        ledger.onTransition(task, from, event, to);
      },
    });
    const world = this.surroundings();
    this.dispatchers = range(random.integer(1, 3)).map((index) => new DispatcherHost(`d${index}`, world));
    const urls = this.dispatchers.map(({ url }) => url);
    const sameName = random.chance(0.2);
    this.supervisors = range(random.integer(1, 4)).map((index) => {
      const name = `s${index}`;
      const slots = random.integer(1, 3);
      return new SupervisorHost(name, world, {
        workerName: sameName ? 'worker' : name,
        slots,
        urls: [random.pick(urls)],
        // The first one can do everything, so that every task ends.
        labels: index === 0 ? [...LABELS] : LABELS.filter(() => random.chance(0.4)),
        python: index === 0 || random.chance(0.5) ? PYTHONS[0] : PYTHONS[1],
      });
    });
    this.monitors = range(random.integer(1, 2)).map((index) => new MonitorHost(`m${index}`, world));
    this.clients = range(random.integer(1, 3)).map((index) => this.createClient(`a${index}`));
    const { network, server, dispatchers, supervisors, monitors, leaseMs } = this;
    const stage = { timeline, random, trace, network, server, dispatchers, supervisors, monitors, leaseMs };
    this.incidents = new Incidents(stage, this.profile);
    this.watch = new Watch({ ledger, dispatchers, supervisors, heartbeatMs: HEARTBEAT_MS, leaseMs });
  }

  async run(): Promise<SimulationReport> {
    const { timeline, random, profile } = this;
    this.trace.add(
      `seed ${this.options.seed}, ${profile.name}, ${this.dispatchers.length} dispatchers, ${this.supervisors.length} workers`,
    );
    for (const host of [...this.dispatchers, ...this.supervisors, ...this.monitors]) host.start();
    this.network.linkFaults = profile.links;
    this.network.controlFaults = profile.control;
    this.server.faults = profile.calls;
    const faultsUntilMs = random.integer(15_000, 40_000);
    const { clients, ledger, data } = this;
    planWorkload({ random, profile, timeline, clients, ledger, data }, faultsUntilMs);
    this.incidents.plan(FAULTS_FROM_MS, faultsUntilMs);
    await this.runUntil(() => timeline.nowMs >= faultsUntilMs);

    this.trace.add('CALM');
    this.incidents.calm();
    this.server.faults = NO_CALL_FAULTS;
    this.watch.calmSinceMs = timeline.nowMs;
    const deadlineMs = timeline.nowMs + 12 * this.leaseMs + this.workLeftMs();
    await this.runUntil(() => this.isOver() || timeline.nowMs >= deadlineMs);
    this.checkEnd();
    return this.report();
  }

  private async runUntil(isDone: () => boolean): Promise<void> {
    let watchedMs = this.timeline.nowMs;
    while (!this.ledger.violation && !isDone() && this.timeline.step()) {
      this.steps++;
      await settlePromises();
      if (this.timeline.nowMs < watchedMs + 250) continue;
      watchedMs = this.timeline.nowMs;
      this.watch.look(watchedMs);
    }
  }

  private isOver(): boolean {
    return (
      this.ledger.open.length === 0 &&
      this.clients.every(({ isDone }) => isDone) &&
      this.watch.leftBehind() === undefined
    );
  }

  private checkEnd(): void {
    const { ledger } = this;
    for (const shard of this.data.shards) for (const task of shard.tasks.values()) ledger.checkUnchanged(task);
    const { open } = ledger;
    if (open.length > 0) {
      const words = open.map(({ task, state, fence }) => `${task.taskId.slice(0, 4)} is ${state} ${fence ?? ''}`);
      ledger.violated('every task ends', words.join(', '));
    }
    const leftBehind = this.watch.leftBehind();
    if (leftBehind !== undefined) ledger.violated('nothing is left behind', leftBehind);
  }

  // --- what is there

  private surroundings(): Surroundings {
    const { timeline, random, trace, network, ledger, server, store } = this;
    return {
      ...{ timeline, random, trace, network, ledger },
      openStore: (owner) => new SimulatedStore(owner, { store, server, timeline, ledger, trace }),
      leaseMs: this.leaseMs,
      heartbeatMs: HEARTBEAT_MS,
      pollMs: random.pick([200, 500, 1_000]),
      reapMs: 1_000,
      timings: { suspectAfterMs: 2.5 * HEARTBEAT_MS, lostAfterMs: 3.5 * HEARTBEAT_MS },
      dispatcherBus: (bus) => dispatcherBus(this.options.breakage, bus),
    };
  }

  private createClient(name: string): Client {
    const { timeline, trace, network, ledger, server, store } = this;
    const owner = new SimulatedProcess(name, timeline);
    return new Client({
      store: new SimulatedStore(owner, { store, server, timeline, ledger, trace }),
      control: network.controlEndpoint(owner, ['tasks.settled']),
      clock: new VirtualClock(timeline, owner),
      ledger,
      onError: (error) => {
        ledger.onError(name, error);
      },
    });
  }

  // --- the end

  /** On one slot, with every attempt needed. */
  private workLeftMs(): number {
    let sum = 0;
    for (const { task, behaviour, ended } of this.ledger.entries.values()) {
      if (ended) continue;
      const retries = task.retry?.maxRetries ?? 0;
      sum += behaviour.runMs * (Math.min(task.maxAttempts, 1 + behaviour.crashes) + retries) + task.delayMs + 1_000;
      sum += retries * (task.retry?.maxBackoffMs ?? 0);
    }
    return sum;
  }

  private report(): SimulationReport {
    const { ledger, network, trace } = this;
    const { totals } = ledger;
    return {
      seed: this.options.seed,
      profile: this.profile.name,
      violation: ledger.violation,
      traceHash: trace.hash,
      lastEvents: ledger.violation || this.options.keepEvents ? trace.last(REPORTED_EVENTS) : [],
      totals: {
        tasks: [...ledger.entries.values()].filter(({ state }) => state !== 'new').length,
        starts: totals.starts,
        staleRefused: totals.stale,
        duplicatesRefused: totals.duplicate,
        reaped: totals.reaped,
        released: totals.released,
        requeued: totals.requeued,
        unblocked: totals.unblocked,
        dependencyFailed: totals.dependencyFailed,
        foundBySweep: totals.foundBySweep,
        handedOver: totals.handOvers.made,
        handOversLost: totals.handOvers.lost,
        incidents: this.incidents.count,
        messagesLost: network.lost.linkMessages,
        eventsLost: network.lost.controlMessages,
        eventsDuplicated: network.lost.duplicates,
        storeCallsFailed: this.server.failedCalls,
        steps: this.steps,
        virtualSeconds: this.timeline.nowMs / 1_000,
      },
    };
  }
}

/** Runs one seed; also a rejection that nobody handled is a violation. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const rejections: string[] = [];
  const note = (reason: unknown): void => {
    rejections.push(reason instanceof Error ? (reason.stack ?? reason.message) : String(reason));
  };
  process.on('unhandledRejection', note);
  try {
    const report = await new Simulation(options).run();
    await settlePromises();
    const [first] = rejections;
    if (first === undefined) return report;
    return { ...report, violation: { invariant: 'no unexpected error', detail: `unhandled rejection: ${first}` } };
  } finally {
    process.off('unhandledRejection', note);
  }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
