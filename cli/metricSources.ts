import type { Registry } from 'prom-client';
import type { Bus } from '../bus/bus.js';
import type { ComponentKind, ControlMessage } from '../bus/controlMessages.js';
import { METRIC_TYPES, type MetricFamily } from '../bus/metricFamilies.js';
import type { ProcessMetrics } from '../bus/metrics.js';
import { processFamilies } from '../bus/processFamilies.js';
import { LOOP_DELAY_INTERVAL_MS, usualLoopDelay } from './loopDelay.js';

/**
 * What one process has to tell when somebody asks for metrics: what it counts, what its actors say of their present state, and what
 * prom-client says of any Node.js process (CPU, memory, event loop). Nothing is loaded or measured before the first question.
 */
export class MetricSources {
  private readonly sources: (() => MetricFamily[])[] = [];
  private defaults: Promise<Registry> | undefined;

  constructor(
    private readonly self: { kind: ComponentKind; id: string },
    private readonly counts: ProcessMetrics,
  ) {}

  /** @param source samples that bear no component and instance of their own are given this process's */
  add(source: () => MetricFamily[]): void {
    this.sources.push(source);
  }

  async families(): Promise<MetricFamily[]> {
    const { kind, id } = this.self;
    this.defaults ??= nodeMetrics();
    const node = nodeFamilies(await (await this.defaults).getMetricsAsJSON());
    const counted = processFamilies(kind, this.counts);
    const own = [...node, ...counted, ...this.sources.flatMap((source) => source())];
    return own.map((family) => ({
      ...family,
      samples: family.samples.map((sample) => ({
        ...sample,
        labels: { component: kind, instance: id, ...sample.labels },
      })),
    }));
  }

  async report(scrape: string): Promise<Extract<ControlMessage, { type: 'metrics.report' }>> {
    return { type: 'metrics.report', scrape, ...this.self, families: await this.families() };
  }
}

/** The same bus; questions for metrics are answered here, and do not reach the actor. */
export function answering(
  bus: Bus<ControlMessage, ControlMessage>,
  metrics: MetricSources,
  onError: (error: unknown) => void,
): Bus<ControlMessage, ControlMessage> {
  const answer = async (scrape: string): Promise<void> => {
    bus.send('metrics.report', await metrics.report(scrape));
  };
  return {
    address: bus.address,
    stats: bus.stats,
    send: (to, message) => {
      bus.send(to, message);
    },
    listen: (handler) => {
      bus.listen((message, from) => {
        if (message.type === 'metrics.asked') void answer(message.scrape).catch(onError);
        else handler(message, from);
      });
    },
    close: () => bus.close(),
  };
}

async function nodeMetrics(): Promise<Registry> {
  const { collectDefaultMetrics, Registry } = await import('prom-client');
  const register = new Registry();
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: LOOP_DELAY_INTERVAL_MS });
  return register;
}

/** Those that are measured with a timer, apart from their spread. */
const LOOP_DELAYS = /^nodejs_eventloop_lag_(min|max|mean|p\d+)_seconds$/;

/** prom-client's own form, in ours. */
function nodeFamilies(metrics: Awaited<ReturnType<Registry['getMetricsAsJSON']>>): MetricFamily[] {
  return metrics.map(({ name, help, type, values }) => ({
    name,
    help,
    type: METRIC_TYPES.find((known) => known === String(type)) ?? 'gauge',
    samples: values
      // Event-loop lag is NaN until there was some.
      .filter(({ value }) => Number.isFinite(value))
      .map(({ value, labels, ...more }) => {
        const full = 'metricName' in more && typeof more.metricName === 'string' ? more.metricName : name;
        const texts = Object.entries(labels).map(([label, text]): [string, string] => [label, String(text)]);
        const seconds = LOOP_DELAYS.test(name) ? usualLoopDelay(value * 1_000) : value;
        return { suffix: full.slice(name.length), labels: Object.fromEntries(texts), value: seconds };
      }),
  }));
}
