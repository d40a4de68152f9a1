import type { MetricSample } from '../../bus/metricFamilies.js';

/** How often a transition was made. */
export interface TransitionFlow {
  machine: string;
  from: string;
  event: string;
  to: string;
  /** By the processes that are there now, since each of them started. */
  total: number;
  /** Over the last few seconds; 0 when this is the first look. */
  perSecond: number;
}

/** Rates are over about so long, of the looks that there were. */
const SPAN_MS = 5_000;
/** Looks that follow one another sooner tell nothing new. */
const APART_MS = 200;

interface Look {
  atMs: number;
  /** By process and transition. */
  totals: Map<string, number>;
}

/** Rates from totals of several processes, of which some may have been started anew since the last look. */
export class TransitionRates {
  private readonly looks: Look[] = [];
  private latest: { look: Look; samples: readonly MetricSample[] } | undefined;

  /** @param samples of `mpcsfaas_transitions_total` */
  observe(atMs: number, samples: readonly MetricSample[]): void {
    const look = { atMs, totals: new Map(samples.map(({ labels, value }) => [JSON.stringify(labels), value])) };
    this.latest = { look, samples };
    const last = this.looks.at(-1);
    if (last && atMs - last.atMs < APART_MS) return;
    this.looks.push(look);
    while (this.looks.length > 2 && (this.looks[1]?.atMs ?? atMs) <= atMs - SPAN_MS) this.looks.shift();
  }

  /** Each transition once, all processes together. */
  flows(): TransitionFlow[] {
    if (!this.latest) return [];
    const { look, samples } = this.latest;
    const [before = look] = this.looks;
    const seconds = (look.atMs - before.atMs) / 1_000;
    const flows = new Map<string, TransitionFlow>();
    for (const { labels, value } of samples) {
      const { machine = '', from = '', event = '', to = '' } = labels;
      const name = `${machine} ${from} ${event} ${to}`;
      const flow = flows.get(name) ?? { machine, from, event, to, total: 0, perSecond: 0 };
      flows.set(name, flow);
      // Less than before: the process has been started anew under its name.
      const earlier = before.totals.get(JSON.stringify(labels)) ?? 0;
      flow.total += value;
      if (seconds > 0) flow.perSecond += (value < earlier ? value : value - earlier) / seconds;
    }
    return [...flows.values()];
  }
}
