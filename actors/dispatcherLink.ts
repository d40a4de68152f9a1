import { type Bus, DISPATCHER } from '../bus/bus.js';
import type { DispatcherMessage, TaskRef, WorkerHello, WorkerMessage, WorkerUsage } from '../bus/messages.js';
import { type Clock, every } from './clock.js';

export interface DispatcherLinkDeps {
  /** A new connection to the dispatcher at `url`; it reconnects by itself while the link keeps it. */
  connect: (url: string) => Bus<DispatcherMessage, WorkerMessage>;
  clock: Clock;
  /** What the worker says of itself, but for the link's own part. */
  hello: () => Omit<WorkerHello, 'lastRun' | 'connection'>;
  load: () => { running: number; queued: number; usage?: WorkerUsage };
  /** A dispatcher has answered a hello; what it rejects is no longer the worker's. */
  onWelcome: (rejected: TaskRef[]) => void;
  /** All that is not the link's own business. */
  onMessage: (message: WorkMessage) => void;
  /** After every heartbeat sent to a dispatcher that knows the worker. */
  onBeat: () => void;
  /** The dispatcher has answered (true), or has fallen silent (false). Told once for each change. */
  onConnected: (connected: boolean, url: string) => void;
  onError: (error: unknown) => void;
}

/** The dispatcher's messages about work. */
export type WorkMessage = Exclude<DispatcherMessage, { type: 'welcome' | 'sayHello' | 'heartbeat' }>;

/**
 * A dispatcher that has been silent for so many heartbeats is given up for another one, or for a new connection. Looked at once a
 * heartbeat, just before the third without an answer: half an interval less than three, so that a jitter does not make it four.
 * Work is back within 5 s that way, and going over for nothing costs a hello.
 */
const SILENT_HEARTBEATS = 2.5;

/**
 * A worker's link to its dispatcher.
 *
 * - looking: says hello every heartbeat, and turns to the next dispatcher it knows, over a new connection, after silence
 * - welcomed: sends heartbeats, which the dispatcher answers; silence, a request to say hello, or orders that got lost lead back to looking
 *
 * It learns of other dispatchers from the one that welcomed it: the last word on them holds, beside what the user has named.
 */
export class DispatcherLink {
  private bus: Bus<DispatcherMessage, WorkerMessage> | undefined;
  /** Where dispatchers were when one last told of others, itself first. */
  private told: readonly string[] = [];
  private url: string;
  private isWelcomed = false;
  private hasLeft = false;
  private reported: boolean | undefined;
  private lastHeardAtMs = 0;
  private lastRun = 0;
  /** Of the last hello over this connection. */
  private saidLastRun = 0;
  private connections = 0;
  private stopTicking: () => void = () => undefined;

  constructor(
    private readonly options: { heartbeatMs: number; urls: readonly string[] },
    private readonly deps: DispatcherLinkDeps,
  ) {
    this.url = options.urls[0] ?? '';
  }

  get welcomed(): boolean {
    return this.isWelcomed;
  }

  open(): void {
    this.connect(this.url);
    this.stopTicking = every(this.deps.clock, this.options.heartbeatMs, () => {
      this.tick();
    });
  }

  send(message: WorkerMessage): void {
    this.bus?.send(DISPATCHER, message);
  }

  /**
   * The last word. A dispatcher that does not know the connection yet may ask for a hello all the same: an answer would make a
   * worker that is gone join, and be given tasks.
   */
  sayGoodbye(): void {
    this.send({ type: 'goodbye' });
    this.stopTicking();
    this.hasLeft = true;
  }

  async close(): Promise<void> {
    this.stopTicking();
    await this.bus?.close();
  }

  private connect(url: string): void {
    void this.bus?.close().catch(this.deps.onError);
    this.url = url;
    this.isWelcomed = false;
    this.connections++;
    this.lastRun = 0;
    this.lastHeardAtMs = this.deps.clock.now();
    const bus = this.deps.connect(url);
    this.bus = bus;
    bus.listen((message) => {
      // What an earlier connection still delivers was sent to a worker that the dispatcher knows by another address.
      if (this.bus === bus) this.receive(message);
    });
    this.sayHello();
  }

  private tick(): void {
    const silentMs = this.deps.clock.now() - this.lastHeardAtMs;
    if (silentMs > SILENT_HEARTBEATS * this.options.heartbeatMs) {
      this.report(false);
      this.connect(this.nextUrl());
    } else if (!this.isWelcomed) {
      this.sayHello();
    } else {
      this.send({ type: 'heartbeat', lastRun: this.lastRun, ...this.deps.load() });
      this.deps.onBeat();
    }
  }

  /** Those that were alive a moment ago come before those that the user has named. */
  private nextUrl(): string {
    const urls = [...new Set([...this.told, ...this.options.urls])];
    return urls[(urls.indexOf(this.url) + 1) % urls.length] ?? this.url;
  }

  private report(connected: boolean): void {
    if (this.reported === connected) return;
    this.reported = connected;
    this.deps.onConnected(connected, this.url);
  }

  private sayHello(): void {
    this.saidLastRun = this.lastRun;
    this.send({ type: 'hello', ...this.deps.hello(), lastRun: this.lastRun, connection: this.connections });
  }

  private receive(message: DispatcherMessage): void {
    if (this.hasLeft) return;
    this.lastHeardAtMs = this.deps.clock.now();
    switch (message.type) {
      case 'welcome':
        this.learn(message.dispatchers);
        // A late answer to an earlier hello does not know of orders that were lost since: what was said of them may be lost as well.
        this.isWelcomed = message.lastRun >= this.saidLastRun;
        this.report(true);
        this.deps.onWelcome(message.rejected);
        break;
      case 'sayHello':
        this.lastRun = Math.max(this.lastRun, message.sequence);
        this.isWelcomed = false;
        this.sayHello();
        break;
      case 'heartbeat':
        this.learn(message.dispatchers);
        break;
      case 'run':
        this.receiveRun(message);
        break;
      default:
        this.deps.onMessage(message);
    }
  }

  /**
   * A gap in the sequence: the connection broke for a moment, and orders were lost with it. Without a word the dispatcher would take
   * them for received, as this later one was, and renew their leases for ever.
   */
  private receiveRun(run: Extract<WorkMessage, { type: 'run' }>): void {
    const follows = run.sequence === this.lastRun + 1;
    this.lastRun = run.sequence;
    this.deps.onMessage(run);
    if (follows) return;
    this.isWelcomed = false;
    this.sayHello();
  }

  /**
   * What was told before is forgotten: a platform whose dispatchers are replaced under new addresses would have workers try all of the past
   * ones, three heartbeats each, before the living one. A dispatcher that has just started knows of nobody yet.
   */
  private learn(urls: readonly string[]): void {
    if (urls.length > 0) this.told = [this.url, ...urls];
  }
}
