import { type Bus, DISPATCHER } from '../../bus/bus.js';
import { CONTROL_TOPICS, type ControlMessage, type ControlTopic } from '../../bus/controlMessages.js';
import { type Delivery, MemoryHub } from '../../bus/memoryBus.js';
import type { DispatcherMessage, WorkerMessage } from '../../bus/messages.js';
import { describeMessage } from './describeMessage.js';
import type { Random } from './random.js';
import type { Timeline } from './timeline.js';
import type { Trace } from './trace.js';
import type { SimulatedProcess } from './virtualClock.js';

/** What may happen to single messages; probabilities are per message. */
export interface MessageFaults {
  drop: number;
  /** Control events only: links deliver at most once, and in order. */
  duplicate: number;
  /** A delay of up to `longDelayMs` instead of the usual millisecond or two. */
  longDelay: number;
  longDelayMs: number;
}

export const NO_MESSAGE_FAULTS: MessageFaults = { drop: 0, duplicate: 0, longDelay: 0, longDelayMs: 0 };

/** The connection of one worker to one dispatcher. */
interface Link {
  /** Raised by a reset: what was on its way then is lost. */
  epoch: number;
  cutUntilMs: number;
  upFreeAtMs: number;
  downFreeAtMs: number;
}

const USUAL_DELAY_MS = [0.2, 2] as const;

/**
 * The wires, on in-memory buses whose deliveries the seed decides. Links between worker and dispatcher keep the order of
 * messages, and lose some; control events come late, twice, in any order, or not at all.
 */
export class Network {
  linkFaults = NO_MESSAGE_FAULTS;
  controlFaults = NO_MESSAGE_FAULTS;
  controlAwayUntilMs = 0;
  readonly lost = { linkMessages: 0, controlMessages: 0, duplicates: 0 };
  private readonly control: MemoryHub;
  private readonly workerHubs = new Map<string, MemoryHub>();
  private readonly links = new Map<string, Link>();
  private readonly owners = new Map<string, SimulatedProcess>();

  constructor(
    private readonly timeline: Timeline,
    private readonly random: Random,
    private readonly trace: Trace,
    private readonly onError: (error: unknown) => void,
  ) {
    this.control = new MemoryHub(onError, (deliver, delivery) => {
      this.scheduleControl(deliver, delivery);
    });
  }

  controlEndpoint(
    owner: SimulatedProcess,
    topics: readonly ControlTopic[] = CONTROL_TOPICS,
  ): Bus<ControlMessage, ControlMessage> {
    this.owners.set(owner.name, owner);
    return this.control.endpoint(owner.name, topics);
  }

  dispatcherEndpoint(owner: SimulatedProcess, url: string): Bus<WorkerMessage, DispatcherMessage> {
    this.owners.set(`${url} ${DISPATCHER}`, owner);
    return this.hub(url).endpoint(DISPATCHER);
  }

  workerEndpoint(owner: SimulatedProcess, url: string): Bus<DispatcherMessage, WorkerMessage> {
    const address = `${owner.name}~${this.links.size}`;
    this.links.set(address, { epoch: 0, cutUntilMs: 0, upFreeAtMs: 0, downFreeAtMs: 0 });
    this.owners.set(`${url} ${address}`, owner);
    return this.hub(url).endpoint(address);
  }

  /** Loses what is on its way between the process and its dispatchers; later messages travel as if nothing had been. */
  resetLinks(owner: SimulatedProcess): void {
    for (const link of this.linksOf(owner)) link.epoch++;
  }

  /** Nothing passes between the process and its dispatchers for a while. */
  cutLinks(owner: SimulatedProcess, forMs: number): void {
    for (const link of this.linksOf(owner)) link.cutUntilMs = this.timeline.nowMs + forMs;
  }

  heal(): void {
    this.linkFaults = NO_MESSAGE_FAULTS;
    this.controlFaults = NO_MESSAGE_FAULTS;
    this.controlAwayUntilMs = 0;
    for (const link of this.links.values()) link.cutUntilMs = 0;
  }

  private linksOf({ name }: SimulatedProcess): Link[] {
    return [...this.links].filter(([address]) => address.startsWith(`${name}~`)).map(([, link]) => link);
  }

  private hub(url: string): MemoryHub {
    let hub = this.workerHubs.get(url);
    if (!hub) {
      hub = new MemoryHub(this.onError, (deliver, delivery) => {
        this.scheduleLink(url, deliver, delivery);
      });
      this.workerHubs.set(url, hub);
    }
    return hub;
  }

  private scheduleLink(url: string, deliver: () => void, { from, to, message }: Delivery): void {
    const isUp = to === DISPATCHER;
    const link = this.links.get(isUp ? from : to);
    if (!link) return;
    const { nowMs } = this.timeline;
    const what = `${isUp ? `${from} -> ${url}` : `${url} -> ${to}`} ${describeMessage(message)}`;
    if (link.cutUntilMs > nowMs || this.random.chance(this.linkFaults.drop)) {
      this.lose(what);
      return;
    }
    const { epoch } = link;
    // In order: a message never overtakes the one before it.
    const arrivesAtMs = Math.max(isUp ? link.upFreeAtMs : link.downFreeAtMs, nowMs + this.delayMs(this.linkFaults));
    if (isUp) link.upFreeAtMs = arrivesAtMs;
    else link.downFreeAtMs = arrivesAtMs;
    const arrive = (): void => {
      if (link.epoch !== epoch || link.cutUntilMs > this.timeline.nowMs) {
        this.lose(what);
        return;
      }
      this.trace.add(what);
      deliver();
    };
    this.timeline.schedule(arrivesAtMs - nowMs, arrive, this.owners.get(`${url} ${to}`));
  }

  private scheduleControl(deliver: () => void, { from, to, message }: Delivery): void {
    const { drop, duplicate } = this.controlFaults;
    const away = this.controlAwayUntilMs > this.timeline.nowMs;
    if (away || this.random.chance(drop)) {
      this.lost.controlMessages++;
      return;
    }
    const copies = this.random.chance(duplicate) ? 2 : 1;
    this.lost.duplicates += copies - 1;
    for (let copy = 0; copy < copies; copy++) {
      const arrive = (): void => {
        this.trace.add(`${from} => ${to} ${describeMessage(message)}`);
        deliver();
      };
      this.timeline.schedule(this.delayMs(this.controlFaults), arrive, this.owners.get(to));
    }
  }

  private lose(what: string): void {
    this.lost.linkMessages++;
    this.trace.add(`LOST ${what}`);
  }

  private delayMs({ longDelay, longDelayMs }: MessageFaults): number {
    const [min, max] = this.random.chance(longDelay) ? [0, longDelayMs] : USUAL_DELAY_MS;
    return this.random.between(min, max);
  }
}
