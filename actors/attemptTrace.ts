import type { ClaimedTask, Settlement, TaskState } from '../bus/taskStore.js';
import { isTerminal } from '../bus/taskStore.js';
import {
  newSpanId,
  parseTraceparent,
  type SpanFacts,
  taskSpanId,
  type TraceContext,
  traceInput,
} from '../bus/tracing.js';

/** Of an attempt whose task is traced, by the wall clock. */
export interface AttemptTrace {
  /** The request that submitted it. */
  parent: TraceContext;
  /** The function's own span, which it is told of. */
  run: TraceContext;
  /** Undefined when the task was delayed. */
  submittedMs: number | undefined;
  claimedMs: number;
  attempt: number;
  functionId: string;
}

/** By task id, those that are traced; undefined when none is. */
export function traceAttempts(
  tasks: readonly ClaimedTask[],
  claimedMs: number,
): ReadonlyMap<string, AttemptTrace> | undefined {
  if (!tasks.some(({ trace }) => trace !== undefined)) return undefined;
  const traces = tasks.map((task) => [task.taskId, traceAttempt(task, claimedMs)] as const);
  return new Map(traces.flatMap(([taskId, trace]) => (trace ? [[taskId, trace]] : [])));
}

/** The order, with the context that the function is to run in. */
export const toldOfTrace = (task: ClaimedTask, trace: AttemptTrace | undefined): ClaimedTask =>
  trace ? { ...task, inputs: [...(task.inputs ?? []), traceInput(trace.run)] } : task;

function traceAttempt(task: ClaimedTask, claimedMs: number): AttemptTrace | undefined {
  const parent = parseTraceparent(task.trace);
  if (!parent?.sampled) return undefined;
  const submittedMs = task.waitedMs === undefined ? undefined : claimedMs - task.waitedMs;
  const run = { ...parent, spanId: newSpanId() };
  return { parent, run, submittedMs, claimedMs, attempt: task.attempt, functionId: task.functionId };
}

/**
 * The spans of an attempt that has ended: `queue` (of the first one), `dispatch` (until the function is called), `run`, `settle` (until
 * the end is recorded), all under `task`, which is made with the last of them.
 */
export function attemptSpans(settlement: Settlement, trace: AttemptTrace, to: TaskState, nowMs: number): SpanFacts[] {
  const { taskId, worker, startedAtMs, runTimeUs, failure } = settlement;
  const { parent, submittedMs, claimedMs, attempt, functionId } = trace;
  const under = taskSpanId(taskId);
  const attributes = { 'mpcsfaas.task.id': taskId, 'mpcsfaas.attempt': attempt, 'mpcsfaas.worker': worker };
  const span = (name: string, startMs: number, endMs: number, more: Partial<SpanFacts> = {}): SpanFacts => ({
    ...{ name, attributes, kind: 'internal', parentSpanId: under },
    // Of several machines: no clock is quite like another.
    ...{ startMs, endMs: Math.max(startMs, endMs) },
    context: { ...parent, spanId: newSpanId() },
    ...more,
  });
  const error = failure && { error: failure.exception ?? failure.type };
  const spans: SpanFacts[] = [];
  if (submittedMs !== undefined && attempt === 1) spans.push(span('queue', submittedMs, claimedMs));
  const hasRun = startedAtMs > 0;
  const endedMs = startedAtMs + runTimeUs / 1_000;
  spans.push(span('dispatch', claimedMs, hasRun ? startedAtMs : nowMs, hasRun ? {} : error));
  if (hasRun) {
    spans.push(span('run', startedAtMs, endedMs, { context: trace.run, kind: 'consumer', ...error }));
    spans.push(span('settle', endedMs, nowMs));
  }
  if (!isTerminal(to)) return spans;
  const whole = {
    context: { ...parent, spanId: under },
    parentSpanId: parent.spanId,
    attributes: { ...attributes, 'mpcsfaas.function.id': functionId, 'mpcsfaas.task.state': to },
  };
  spans.push(span('task', submittedMs ?? claimedMs, nowMs, { ...whole, ...(to === 'failed' && error) }));
  return spans;
}
