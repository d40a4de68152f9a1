/**
 * What a task needs of a worker, as one short text: its labels in order, and the Python that can load its function, such as
 * `eu,gpu@cpython-3.11`, `gpu` or `@pypy-3.9`; '' when any worker will do, as for most. Tasks with the same requirement wait in the
 * same queues, and no dispatcher claims what none of its workers can run.
 */
export interface Needs {
  readonly labels: readonly string[];
  /** Implementation and minor version, such as `cpython-3.11`; '' when any will do. */
  readonly python: string;
}

/** What workers of one kind are able to run. */
export interface Capabilities {
  readonly labels: readonly string[];
  /** `cpython-3.11`; '' when it is not known, which satisfies no need of one. */
  readonly python: string;
}

/** Workers of one kind, and how many tasks they can be given together. */
export interface Offer {
  readonly capabilities: Capabilities;
  readonly credit: number;
}

export const MAX_LABELS = 16;
/** Of one label. It excludes what separates the parts of a requirement. */
export const LABEL_PATTERN = '^[A-Za-z0-9_.:-]{1,64}$';

export function requirementOf({ labels, python }: Needs): string {
  const sorted = labels.length > 1 ? [...new Set(labels)].sort().join(',') : (labels[0] ?? '');
  return python === '' ? sorted : `${sorted}@${python}`;
}

export function needsOf(requirement: string): Needs {
  const [labels = '', python = ''] = requirement.split('@');
  return { labels: labels === '' ? [] : labels.split(','), python };
}

/** `cpython` and `3.11.2` make `cpython-3.11`; '' when one of them is not known. */
export function pythonOf(implementation: string, version: string): string {
  const minor = /^(\d+\.\d+)/.exec(version)?.[1];
  return implementation === '' || minor === undefined ? '' : `${implementation}-${minor}`;
}

export function satisfies(capabilities: Capabilities, { labels, python }: Needs): boolean {
  if (python !== '' && python !== capabilities.python) return false;
  return labels.every((label) => capabilities.labels.includes(label));
}

export const canRun = (capabilities: Capabilities, requirement: string): boolean =>
  requirement === '' || satisfies(capabilities, needsOf(requirement));

/** A requirement for which a dispatcher claims, and the indexes of the offers that can take its tasks, in the order they are asked. */
export interface Lane {
  readonly requirement: string;
  readonly offers: readonly number[];
}

/**
 * The lanes for which tasks can be claimed: tasks without a requirement, and those of the given requirements that an offer satisfies.
 * A lane asks first the workers that can do the least, so that the versatile stay free for what only they can run.
 */
export function lanesFor(requirements: readonly string[], offers: readonly Capabilities[]): Lane[] {
  const lanes: Lane[] = [{ requirement: '', offers: [...offers.keys()] }];
  for (const requirement of requirements) {
    const needs = needsOf(requirement);
    const able = [...offers.keys()].filter((index) => satisfies(offers[index] as Capabilities, needs));
    if (able.length > 0) lanes.push({ requirement, offers: able });
  }
  const uses = offers.map((_, index) => lanes.filter((lane) => lane.offers.includes(index)).length);
  const leastFirst = (a: number, b: number): number => (uses[a] as number) - (uses[b] as number) || a - b;
  return lanes.map((lane) => ({ ...lane, offers: lane.offers.toSorted(leastFirst) }));
}

/** Each claim begins at another lane, so that none is favoured. */
export function rotated<Item>(items: readonly Item[], by: number): readonly Item[] {
  const start = by % Math.max(1, items.length);
  return start === 0 ? items : [...items.slice(start), ...items.slice(0, start)];
}
