import type { DispatcherHost, Host, MonitorHost, SupervisorHost } from './hosts.js';
import type { Network } from './network.js';
import type { IncidentKind, Profile } from './profiles.js';
import type { Random } from './random.js';
import type { StoreServer } from './storeServer.js';
import type { Timeline } from './timeline.js';
import type { Trace } from './trace.js';
import type { SimulatedProcess } from './virtualClock.js';

export interface Stage {
  timeline: Timeline;
  random: Random;
  trace: Trace;
  network: Network;
  server: StoreServer;
  dispatchers: readonly DispatcherHost[];
  supervisors: readonly SupervisorHost[];
  monitors: readonly MonitorHost[];
  leaseMs: number;
}

const WALL_JUMP_MS = 3_600_000;

/** Lets things go wrong, as the profile says, until `calm` is called. */
export class Incidents {
  count = 0;
  private calmed = false;
  private readonly kinds: Record<IncidentKind, () => void>;

  constructor(
    private readonly stage: Stage,
    private readonly profile: Profile,
  ) {
    const { random, network, server, timeline, dispatchers, supervisors, monitors, leaseMs } = stage;
    this.kinds = {
      dispatcherCrash: () => this.crash(serving(dispatchers, random)),
      dispatcherDrain: () => this.drain(serving(dispatchers, random)),
      dispatcherPause: () => this.pause(serving(dispatchers, random)),
      supervisorCrash: () => this.crash(serving(supervisors, random)),
      supervisorDrain: () => this.drain(serving(supervisors, random)),
      supervisorPause: () => this.pause(serving(supervisors, random)),
      monitorCrash: () => this.crash(serving(monitors, random)),
      linkReset: () => this.withLinks((process) => network.resetLinks(process)),
      linkCut: () => this.withLinks((process) => network.cutLinks(process, this.awayMs())),
      controlAway: () => (network.controlAwayUntilMs = timeline.nowMs + this.awayMs()),
      storeAway: () => this.storeGoes(() => server.refuse(false)),
      storeRestart: () => this.storeGoes(() => server.refuse(true)),
      storeFreeze: () => this.storeGoes(() => server.freeze()),
      storeClockJump: () => server.jumpClock(Math.round(random.between(-1, 1.5) * leaseMs)),
      wallClockJump: () => {
        const host = random.pick<Host>([...dispatchers, ...supervisors, ...monitors]);
        host.jumpWallClock(random.integer(-WALL_JUMP_MS, WALL_JUMP_MS));
      },
    };
  }

  /** Spreads the incidents of the profile over the time. */
  plan(fromMs: number, untilMs: number): void {
    const { random, timeline } = this.stage;
    const count = random.integer(...this.profile.incidentCount);
    const times = Array.from({ length: count }, () => random.between(fromMs, untilMs)).sort((a, b) => a - b);
    let freeMs = fromMs;
    for (const time of times) {
      const atMs = Math.max(time, freeMs);
      freeMs = atMs + this.profile.apartMs;
      const kind = random.weighted(this.profile.incidents);
      timeline.schedule(atMs - timeline.nowMs, () => {
        if (!this.calmed) this.happen(kind);
      });
    }
  }

  /** Nothing goes wrong any more, and what has is put right. */
  calm(): void {
    this.calmed = true;
    const { network, server, dispatchers, supervisors, monitors } = this.stage;
    network.heal();
    server.goOn();
    for (const host of [...dispatchers, ...supervisors, ...monitors]) {
      host.process?.resume();
      host.start();
    }
  }

  private happen(kind: IncidentKind): void {
    this.count++;
    this.stage.trace.add(`INCIDENT ${kind}`);
    this.kinds[kind]();
  }

  private crash(host: Host | undefined): void {
    if (!host) return;
    host.crash();
    this.later(() => {
      host.start();
    });
  }

  private drain(host: Host | undefined): void {
    host?.drain(() => {
      if (this.calmed) host.start();
      else
        this.later(() => {
          host.start();
        });
    });
  }

  private pause(host: Host | undefined): void {
    const process = host?.process;
    if (!process) return;
    process.pause();
    this.stage.trace.add(`${process.name} PAUSED`);
    this.later(() => {
      this.stage.trace.add(`${process.name} CONTINUED`);
      process.resume();
    });
  }

  private withLinks(action: (process: SimulatedProcess) => void): void {
    const process = serving(this.stage.supervisors, this.stage.random)?.process;
    if (process) action(process);
  }

  private storeGoes(go: () => void): void {
    const { server } = this.stage;
    if (server.state !== 'up') return;
    go();
    this.later(() => {
      server.goOn();
    });
  }

  private later(action: () => void): void {
    this.stage.timeline.schedule(this.awayMs(), action);
  }

  private awayMs(): number {
    const [min, max] = this.profile.awayLeases;
    return this.stage.leaseMs * this.stage.random.between(min, max);
  }
}

const serving = <H extends Host>(hosts: readonly H[], random: Random): H | undefined =>
  random.pickAny(hosts.filter(({ isServing }) => isServing));
