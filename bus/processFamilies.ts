import type { ComponentKind } from './controlMessages.js';
import { FAILURE_TYPES, type FailureType } from './messages.js';
import { counter, histogramSamples, type MetricFamily, type MetricSample, TRANSITIONS_NAME } from './metricFamilies.js';
import type { Histogram, Hop, ProcessMetrics, TransitionCount } from './metrics.js';

const TERMINAL = ['completed', 'failed', 'cancelled'];

/** What a process of this kind has counted. Families are left out that it can have nothing of. */
export function processFamilies(kind: ComponentKind, metrics: ProcessMetrics): MetricFamily[] {
  const transitions = [...metrics.transitions.all()];
  const families = [transitionFamily(transitions)];
  if (kind === 'worker') return families;
  families.push(endedFamily(transitions), failureFamily(metrics, transitions));
  if (kind === 'api')
    families.push(submittedFamily(transitions), batchFamily(metrics, ['submit']), ...httpFamilies(metrics));
  if (kind === 'monitor')
    families.push(counter('leases_reaped_total', 'Leases that ran out, their tasks taken away.', metrics.leasesReaped));
  if (kind === 'dispatcher') families.push(...dispatcherFamilies(metrics));
  return families;
}

function dispatcherFamilies(metrics: ProcessMetrics): MetricFamily[] {
  const refused = (reason: string, value: number): MetricSample => ({ suffix: '', labels: { reason }, value });
  return [
    durations('task_queue_wait_seconds', 'Time in the queue, of first attempts without a delay.', metrics.queueWait),
    durations('task_run_seconds', 'Time in the function.', metrics.runTime),
    durations('task_end_to_end_seconds', 'From submission to the recorded end, without delays.', metrics.endToEnd),
    batchFamily(metrics, ['claim', 'run', 'results', 'settle', 'release']),
    counter('heartbeats_total', 'Heartbeats of workers that have arrived.', metrics.heartbeats),
    counter('leases_renewed_total', 'Leases renewed in Redis.', metrics.leasesRenewed),
    {
      name: 'mpcsfaas_results_refused_total',
      help: 'Results of attempts decided before: stale ones lost their lease, duplicates came twice.',
      type: 'counter',
      samples: [refused('stale', metrics.staleResults), refused('duplicate', metrics.duplicateResults)],
    },
  ];
}

function httpFamilies({ routes }: ProcessMetrics): MetricFamily[] {
  const asked = routes.filter(({ byStatus }) => byStatus.size > 0);
  return [
    {
      name: 'mpcsfaas_http_requests_total',
      help: 'HTTP requests answered, by route and status.',
      type: 'counter',
      samples: asked.flatMap(({ method, route, byStatus }) =>
        [...byStatus].map(([status, value]) => ({
          suffix: '',
          labels: { method, route, status: String(status) },
          value,
        })),
      ),
    },
    {
      name: 'mpcsfaas_http_request_seconds',
      help: 'From a request to the end of its answer: a waiting client waits, a stream lasts.',
      type: 'histogram',
      samples: asked.flatMap(({ method, route, seconds }) => histogramSamples(seconds, { method, route })),
    },
  ];
}

function durations(name: string, help: string, histogram: Histogram): MetricFamily {
  return { name: `mpcsfaas_${name}`, help, type: 'histogram', samples: histogramSamples(histogram, {}) };
}

function batchFamily(metrics: ProcessMetrics, hops: Hop[]): MetricFamily {
  return {
    name: 'mpcsfaas_batch_tasks',
    help: 'Tasks that travelled together, by hop.',
    type: 'histogram',
    samples: hops.flatMap((hop) => histogramSamples(metrics.batches[hop], { hop })),
  };
}

function transitionFamily(transitions: readonly TransitionCount[]): MetricFamily {
  return {
    name: TRANSITIONS_NAME,
    help: 'Transitions of the state machines.',
    type: 'counter',
    samples: transitions.map(({ machine, from, event, to, count }) => ({
      suffix: '',
      labels: { machine, from, event, to },
      value: count,
    })),
  };
}

function submittedFamily(transitions: readonly TransitionCount[]): MetricFamily {
  const submitted = transitions.filter(({ event }) => event === 'task.submitted');
  return counter('tasks_submitted_total', 'Tasks accepted.', total(submitted));
}

function endedFamily(transitions: readonly TransitionCount[]): MetricFamily {
  return {
    name: 'mpcsfaas_tasks_ended_total',
    help: 'Tasks that ended, by the state they ended in.',
    type: 'counter',
    samples: TERMINAL.map((state) => ({
      suffix: '',
      labels: { state },
      value: total(transitions.filter(({ machine, to }) => machine === 'task' && to === state)),
    })),
  };
}

/** Two are seen from transitions. */
function failureFamily({ failures }: ProcessMetrics, transitions: readonly TransitionCount[]): MetricFamily {
  const made: Partial<Record<FailureType, number>> = {
    Cancelled: total(transitions.filter(({ machine, to }) => machine === 'task' && to === 'cancelled')),
    DependencyFailed: total(transitions.filter(({ event }) => event === 'task.dependencyFailed')),
  };
  return {
    name: 'mpcsfaas_task_failures_total',
    help: 'Tasks that failed for good, by why.',
    type: 'counter',
    samples: FAILURE_TYPES.map((type) => ({
      suffix: '',
      labels: { type },
      value: made[type] ?? failures.get(type) ?? 0,
    })),
  };
}

const total = (counts: readonly TransitionCount[]): number => counts.reduce((sum, { count }) => sum + count, 0);
