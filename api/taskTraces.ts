import type { TaskLists } from '../bus/taskLists.js';
import { parseTraceparent, taskSpanId, type TraceContext, type Tracer } from '../bus/tracing.js';
import type { ApiServices } from './services.js';

/** Links of one span at most: more than collectors take are dropped by them. */
const MAX_LINKS = 128;

/** The spans of those of the tasks that are traced, for a request's span to link to. Nothing is read where nothing is traced. */
export async function spansOfTasks(
  { tracer, lists }: Pick<ApiServices, 'tracer' | 'lists'>,
  taskIds: readonly string[],
): Promise<TraceContext[]> {
  if (!tracer) return [];
  const traced = await tracedTasks(lists, taskIds.slice(0, MAX_LINKS));
  return traced.map(({ span }) => span);
}

/** Ends the spans of tasks that a request has cancelled: no dispatcher settles them. @param by the request's own, if it is traced */
export async function traceCancelled(
  tracer: Tracer,
  lists: TaskLists,
  taskIds: readonly string[],
  by: string | undefined,
): Promise<void> {
  const endMs = Date.now();
  const canceller = parseTraceparent(by);
  const traced = await tracedTasks(lists, taskIds);
  tracer.export(
    traced.map(({ taskId, span, parent, submittedAtMs }) => ({
      ...{ name: 'task', kind: 'internal', context: span, parentSpanId: parent.spanId },
      ...{ startMs: Math.min(submittedAtMs, endMs), endMs },
      ...(canceller && { links: [canceller] }),
      attributes: { 'mpcsfaas.task.id': taskId, 'mpcsfaas.task.state': 'cancelled' },
    })),
  );
}

interface TracedTask {
  taskId: string;
  span: TraceContext;
  /** The request that submitted it. */
  parent: TraceContext;
  submittedAtMs: number;
}

async function tracedTasks(lists: TaskLists, taskIds: readonly string[]): Promise<TracedTask[]> {
  const found = await lists.readTraces(taskIds);
  return taskIds.flatMap((taskId, place): TracedTask[] => {
    const { trace, submittedAtMs = 0 } = found[place] ?? {};
    const parent = parseTraceparent(trace);
    if (!parent?.sampled) return [];
    return [{ taskId, parent, submittedAtMs, span: { ...parent, spanId: taskSpanId(taskId) } }];
  });
}
