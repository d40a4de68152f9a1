import { randomUUID } from 'node:crypto';
import type { ComponentKind, ControlMessage } from '../../bus/controlMessages.js';
import { gauge, type Labels, type MetricFamily, TRANSITIONS_NAME } from '../../bus/metricFamilies.js';
import { merged } from './exposition.js';
import { type TransitionFlow, TransitionRates } from './transitionRates.js';

const DEFAULT_ANSWER_MS = 500;
const DEFAULT_KEPT_MS = 250;
/** A process that has said nothing for so long, not even goodbye, is not waited for any more, and not shown as down. */
const FORGOTTEN_AFTER_MS = 60_000;
/** In so long every process has sent a heartbeat: before, nobody knows who should answer. */
const LISTENING_MS = 2_500;
const MAX_KNOWN = 1_000;

export interface PlatformMetricsOptions {
  self: { kind: ComponentKind; id: string };
  /** Of this process. */
  own: () => Promise<MetricFamily[]>;
  /** Of the platform as a whole, as Redis knows it; left out when it rejects, or takes longer than answers may. */
  platform: () => Promise<MetricFamily[]>;
  /** Asks all other processes; false where that cannot be done now, and nothing need be waited for. */
  ask: (scrape: string) => boolean;
  /** How long answers are waited for. Default 500. */
  answerMs?: number;
  /** For so long a gathering serves everybody who asks. Default 250. */
  keptMs?: number;
}

interface Process {
  kind: ComponentKind;
  id: string;
  /** Of its component machine, as its last heartbeat said; '' before the first. */
  state: string;
  heardAtMs: number;
}

/**
 * The metrics of every process of the platform, gathered when somebody asks: by event, since only those that are there now count.
 * It answers when all that send heartbeats have answered, or after a bounded time; who did not is shown as down (`mpcsfaas_up`), and
 * never by numbers of an earlier answer. However many ask, there is one gathering in `keptMs`.
 */
export class PlatformMetrics {
  private readonly known = new Map<string, Process>();
  private readonly startedAtMs = performance.now();
  private readonly rates = new TransitionRates();
  private current: { scrape: string; answers: Map<string, MetricFamily[]>; onAnswer: () => void } | undefined;
  private gathering: Promise<MetricFamily[]> | undefined;
  private keptUntilMs = 0;

  constructor(private readonly options: PlatformMetricsOptions) {}

  /** Sealed events only: what is here is what everybody gets to read. */
  onControl(message: ControlMessage): void {
    if (message.type === 'component.heartbeat') this.heard(message.kind, message.id, message.state);
    else if (message.type === 'component.stopped') this.known.delete(nameOf(message));
    else if (message.type === 'metrics.report' && message.scrape === this.current?.scrape) {
      this.heard(message.kind, message.id);
      this.current.answers.set(nameOf(message), message.families);
      this.current.onAnswer();
    }
  }

  /** Each name once. Resolves within `answerMs` or little more, whatever is away. */
  gather(): Promise<MetricFamily[]> {
    // While one is under way it is not over yet.
    if (performance.now() < this.keptUntilMs && this.gathering) return this.gathering;
    this.keptUntilMs = Infinity;
    this.gathering = this.gatherNow().finally(() => {
      this.keptUntilMs = performance.now() + (this.options.keptMs ?? DEFAULT_KEPT_MS);
    });
    return this.gathering;
  }

  /**
   * How often each transition was made, by all processes that answer, since they started, and how often per second lately. From the
   * same gathering as the metrics.
   */
  async flows(): Promise<TransitionFlow[]> {
    await this.gather();
    return this.rates.flows();
  }

  /** The other processes that have been heard of during the last `withinMs`. */
  processes(withinMs: number): { kind: ComponentKind; id: string; state: string }[] {
    const since = performance.now() - withinMs;
    return [...this.known.values()].filter(({ heardAtMs }) => heardAtMs > since);
  }

  private heard(kind: ComponentKind, id: string, saidState?: string): void {
    const name = nameOf({ kind, id });
    const known = this.known.get(name);
    if (this.known.size >= MAX_KNOWN && !known) return;
    this.known.set(name, { kind, id, state: saidState ?? known?.state ?? '', heardAtMs: performance.now() });
  }

  private async gatherNow(): Promise<MetricFamily[]> {
    const { self, own, platform } = this.options;
    const [ownFamilies, platformFamilies, answers] = await Promise.all([
      own(),
      this.inTime(platform()),
      this.answers(),
    ]);
    const up = gauge('up', 'Whether the process answered when it was asked for its metrics.', [
      [{ component: self.kind, instance: self.id }, 1],
      ...[...this.known.values()].map(({ kind, id }): [Labels, number] => [
        { component: kind, instance: id },
        answers.has(nameOf({ kind, id })) ? 1 : 0,
      ]),
    ]);
    const families = merged([[up], ownFamilies, platformFamilies, ...answers.values()]);
    const transitions = families.find(({ name }) => name === TRANSITIONS_NAME)?.samples ?? [];
    this.rates.observe(performance.now(), transitions);
    return families;
  }

  private async inTime(families: Promise<MetricFamily[]>): Promise<MetricFamily[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<MetricFamily[]>((resolve) => (timer = setTimeout(resolve, this.answerMs, [])));
    const inTime = await Promise.race([families.catch(() => []), late]);
    clearTimeout(timer);
    return inTime;
  }

  private get answerMs(): number {
    return this.options.answerMs ?? DEFAULT_ANSWER_MS;
  }

  private async answers(): Promise<Map<string, MetricFamily[]>> {
    const answers = new Map<string, MetricFamily[]>();
    const oldest = performance.now() - FORGOTTEN_AFTER_MS;
    for (const [name, { heardAtMs }] of this.known) if (heardAtMs < oldest) this.known.delete(name);
    const scrape = randomUUID();
    if (!this.options.ask(scrape)) return answers;
    const knowsAll = performance.now() - this.startedAtMs > LISTENING_MS;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.answerMs);
      const onAnswer = (): void => {
        if (!knowsAll || [...this.known.keys()].some((name) => !answers.has(name))) return;
        clearTimeout(timer);
        resolve();
      };
      this.current = { scrape, answers, onAnswer };
      onAnswer();
    });
    this.current = undefined;
    return answers;
  }
}

const nameOf = ({ kind, id }: { kind: string; id: string }): string => `${kind} ${id}`;
