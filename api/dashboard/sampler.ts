import { TransitionRates } from '../metrics/transitionRates.js';
import { type MetricFamily, TRANSITIONS_NAME } from '../../bus/metricFamilies.js';
import type { TaskCounts, TaskLists } from '../../bus/taskLists.js';
import type { DispatcherRecord, TaskStore, WorkerRecord } from '../../bus/taskStore.js';
import type { PlatformMetrics } from '../metrics/platformMetrics.js';
import type { Frame } from './frame.js';
import { History } from './history.js';
import { RecentLatencies } from './latencies.js';

export interface SamplerOptions {
  lists: Pick<TaskLists, 'countTasks'>;
  store: Pick<TaskStore, 'readWorkers' | 'readDispatchers'>;
  metrics: Pick<PlatformMetrics, 'gather' | 'processes'>;
  /** State of the component machine of this process. */
  ownState: () => string;
  /** Between two looks while somebody watches. Default 500. */
  everyMs?: number;
  /** Between two looks while nobody does, for the charts of those who come. Default 10,000. */
  unwatchedEveryMs?: number;
}

/** What watchers are given: how things stand, or why that is not known. */
export type Sighting = { frame: Frame } | { error: unknown };

/** Silent for longer, it does not run any more, and has not been removed yet. */
const ALIVE_MS = 10_000;
/** Workers, dispatchers and metrics change once a heartbeat: looked at so often. */
const SLOWLY_MS = 1_000;
/** Differences to metrics of longer ago say nothing of the present. */
const LATELY_MS = 10_000;
const RATE_SPAN_MS = 2_500;
/** Looks take at most this share of the time, however long one takes. */
const MOST_BUSY = 0.2;

interface Counted {
  atMs: number;
  counts: TaskCounts;
}

/**
 * Looks at the platform, once for all who watch: twice a second while somebody does, every ten seconds else. A look costs one short
 * script per shard, whatever the load; once a second also the records of workers and dispatchers, and a gathering of metrics.
 */
export class Sampler {
  readonly everyMs: number;
  private readonly history = new History();
  private readonly watchers = new Set<(sighting: Sighting) => void>();
  private readonly counted: Counted[] = [];
  private latencies = new RecentLatencies();
  private rates = new TransitionRates();
  private slow: { atMs: number; workers: WorkerRecord[]; dispatchers: DispatcherRecord[] } | undefined;
  private metricsAtMs = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private looking = false;
  private closed = false;

  constructor(private readonly options: SamplerOptions) {
    this.everyMs = options.everyMs ?? 500;
    this.plan(this.unwatchedEveryMs);
  }

  get points(): History['points'] {
    return this.history.points;
  }

  /** Calls the watcher with what it finds, until the answer is called. It must not throw. */
  watch(watcher: (sighting: Sighting) => void): () => void {
    this.watchers.add(watcher);
    if (!this.looking) this.plan(0);
    return () => void this.watchers.delete(watcher);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.watchers.clear();
  }

  private plan(inMs: number): void {
    clearTimeout(this.timer);
    if (this.closed) return;
    this.timer = setTimeout(() => void this.look(), inMs);
    this.timer.unref();
  }

  private async look(): Promise<void> {
    const begunMs = performance.now();
    this.looking = true;
    const sighting = await this.sight().catch((error: unknown) => ({ error }));
    this.looking = false;
    for (const watcher of this.watchers) watcher(sighting);
    const tookMs = performance.now() - begunMs;
    const everyMs = this.watchers.size > 0 ? this.everyMs : this.unwatchedEveryMs;
    this.plan(Math.max(everyMs - tookMs, tookMs / MOST_BUSY - tookMs));
  }

  private get unwatchedEveryMs(): number {
    return this.options.unwatchedEveryMs ?? 10_000;
  }

  private async sight(): Promise<Sighting> {
    const [counts, { workers, dispatchers }] = await Promise.all([this.options.lists.countTasks(), this.records()]);
    const atMs = Date.now();
    // Every process has work with them: not for nobody.
    if (this.watchers.size > 0) this.gatherMetrics();
    this.counted.push({ atMs, counts });
    while (this.counted.length > 2 && (this.counted[1]?.atMs ?? atMs) <= atMs - RATE_SPAN_MS) this.counted.shift();
    const present = workers.filter(({ heartbeatAtMs }) => heartbeatAtMs > atMs - ALIVE_MS);
    const { queued, oldestQueuedAtMs, failures, ...others } = counts;
    const frame: Frame = {
      atMs,
      tasks: { ...others, queued: queued.high + queued.normal + queued.low },
      failures: failures,
      queues: queued,
      oldestQueuedMs: oldestQueuedAtMs === undefined ? null : Math.max(0, atMs - oldestQueuedAtMs),
      slots: {
        busy: present.reduce((sum, { running }) => sum + running, 0),
        total: present.reduce((sum, { slots }) => sum + slots, 0),
      },
      workers: { ...tally(present.map(({ state }) => state)), ...this.departedWorkers() },
      components: tally(this.componentStates(present)),
      dispatchers: dispatchers.filter(({ heartbeatAtMs }) => heartbeatAtMs > atMs - ALIVE_MS).length,
      rates: this.ratesNow(),
      latency: this.latencies.latest(),
      flows: this.flowsNow(),
    };
    const point = this.history.note(frame);
    return { frame: point ? { ...frame, point } : frame };
  }

  private async records(): Promise<{ workers: WorkerRecord[]; dispatchers: DispatcherRecord[] }> {
    const { store } = this.options;
    const now = performance.now();
    if (!this.slow || now - this.slow.atMs > SLOWLY_MS * 0.9) {
      const [workers, dispatchers] = await Promise.all([store.readWorkers(), store.readDispatchers()]);
      this.slow = { atMs: now, workers, dispatchers };
    }
    return this.slow;
  }

  /** Not waited for: it may take half a second, and what it finds is in a later frame. */
  private gatherMetrics(): void {
    const now = performance.now();
    if (now - this.metricsAtMs < SLOWLY_MS * 0.9) return;
    if (now - this.metricsAtMs > LATELY_MS) {
      // What happened while nobody watched did not happen lately.
      this.latencies = new RecentLatencies();
      this.rates = new TransitionRates();
    }
    this.metricsAtMs = now;
    void this.options.metrics.gather().then(
      (families) => {
        this.latencies.observe(performance.now(), families);
        this.rates.observe(performance.now(), drawnTransitions(families));
      },
      // Others say it where it is asked for.
      () => undefined,
    );
  }

  private ratesNow(): Frame['rates'] {
    const [before] = this.counted;
    const now = this.counted.at(-1);
    if (!before || !now || now.atMs <= before.atMs) return { completed: 0, failed: 0, cancelled: 0 };
    const perSecond = (count: (counts: TaskCounts) => number): number =>
      Math.max(0, ((count(now.counts) - count(before.counts)) * 1_000) / (now.atMs - before.atMs));
    return {
      completed: perSecond(({ completed }) => completed),
      failed: perSecond(({ failed }) => failed),
      cancelled: perSecond(({ cancelled }) => cancelled),
    };
  }

  /** Nobody lists workers that are not there any more; who saw them leave has counted them. */
  private departedWorkers(): Record<string, number> {
    const departed: Record<string, number> = { gone: 0, lost: 0 };
    for (const { machine, to, total } of this.rates.flows()) {
      const before = departed[to];
      if (machine === 'worker' && before !== undefined) departed[to] = before + total;
    }
    return departed;
  }

  private flowsNow(): Record<string, number> {
    const flowing = this.rates.flows().filter(({ perSecond }) => perSecond > 0);
    return Object.fromEntries(
      flowing.map(({ machine, from, event, to, perSecond }) => [
        `${machine} ${from} ${event} ${to}`,
        Number(perSecond.toPrecision(3)),
      ]),
    );
  }

  /** Workers speak to their dispatcher alone: that they are there is known from it. In local mode they are no processes. */
  private componentStates(workers: readonly WorkerRecord[]): string[] {
    const heard = this.options.metrics.processes(ALIVE_MS).map(({ state }) => state);
    const processes = workers.filter(({ mode }) => mode !== 'local');
    return [this.options.ownState(), ...heard.filter((state) => state !== ''), ...processes.map(componentStateOf)];
  }
}

function componentStateOf({ state }: WorkerRecord): string {
  if (state === 'draining') return state;
  return state === 'suspect' ? 'degraded' : 'running';
}

/** A worker has a machine in its dispatcher and one in each monitor: the drawing shows the dispatcher's. */
function drawnTransitions(families: readonly MetricFamily[]): MetricFamily['samples'] {
  const samples = families.find(({ name }) => name === TRANSITIONS_NAME)?.samples ?? [];
  return samples.filter(({ labels }) => labels['machine'] !== 'worker' || labels['component'] === 'dispatcher');
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
