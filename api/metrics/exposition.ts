import type { Labels, MetricFamily } from '../../bus/metricFamilies.js';

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Prometheus' text format. */
export function exposition(families: readonly MetricFamily[]): string {
  let text = '';
  for (const { name, help, type, samples } of families) {
    text += `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`;
    for (const { suffix, labels, value } of samples) text += `${name}${suffix}${labelText(labels)} ${value}\n`;
  }
  return text;
}

/** Families of several processes as one: each name once, by name. */
export function merged(lists: Iterable<readonly MetricFamily[]>): MetricFamily[] {
  const byName = new Map<string, MetricFamily>();
  for (const families of lists) {
    for (const family of families) {
      const known = byName.get(family.name);
      if (!known) byName.set(family.name, { ...family, samples: [...family.samples] });
      else if (known.type === family.type) known.samples.push(...family.samples);
    }
  }
  return [...byName.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}

function labelText(labels: Labels): string {
  let text = '';
  for (const name in labels) {
    const value = escaped(labels[name] ?? '').replaceAll('"', '\\"');
    text += `${text === '' ? '' : ','}${name}="${value}"`;
  }
  return text === '' ? '' : `{${text}}`;
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
