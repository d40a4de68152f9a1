import type { Histogram } from './metrics.js';

/** A metric as it travels and is exposed: Prometheus' data model. */
export interface MetricFamily {
  name: string;
  help: string;
  type: MetricType;
  samples: MetricSample[];
}

export const METRIC_TYPES = ['counter', 'gauge', 'histogram', 'summary'] as const;
export type MetricType = (typeof METRIC_TYPES)[number];

export interface MetricSample {
  /** What follows the family's name: `_bucket`, `_sum`, `_count` of histograms, else ''. */
  suffix: string;
  labels: Labels;
  value: number;
}

export type Labels = Readonly<Record<string, string>>;

export const TRANSITIONS_NAME = 'mpcsfaas_transitions_total';

/** One number without labels. */
export function counter(name: string, help: string, value: number): MetricFamily {
  return { name: `mpcsfaas_${name}`, help, type: 'counter', samples: [{ suffix: '', labels: {}, value }] };
}

export function gauge(name: string, help: string, values: readonly [labels: Labels, value: number][]): MetricFamily {
  const samples = values.map(([labels, value]) => ({ suffix: '', labels, value }));
  return { name: `mpcsfaas_${name}`, help, type: 'gauge', samples };
}

export function histogramSamples(histogram: Histogram, labels: Labels): MetricSample[] {
  let total = 0;
  const samples = histogram.counts.map((count, place) => {
    const bound = histogram.bounds[place];
    total += count;
    return { suffix: '_bucket', labels: { ...labels, le: bound === undefined ? '+Inf' : String(bound) }, value: total };
  });
  return [...samples, { suffix: '_sum', labels, value: histogram.sum }, { suffix: '_count', labels, value: total }];
}
