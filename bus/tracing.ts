import { randomBytes } from 'node:crypto';
import type { TaskInput } from './messages.js';

/** Where in a trace something is: what W3C's `traceparent` says. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits. */
  spanId: string;
  sampled: boolean;
}

/** What happened from then to then, in the terms of OpenTelemetry; made when it is over and all is known. */
export interface SpanFacts {
  name: string;
  context: TraceContext;
  parentSpanId?: string;
  kind: 'server' | 'internal' | 'consumer';
  startMs: number;
  endMs: number;
  attributes: Record<string, string | number | boolean>;
  /** Spans of other traces, or elsewhere in this one, that it has to do with. */
  links?: readonly TraceContext[];
  /** Why it failed, if it did: a class or type, never a message, which may quote what users have passed. */
  error?: string;
}

/** Takes spans to where they are collected. */
export interface Tracer {
  /** Share of the requests without a context of their own that are traced. */
  readonly ratio: number;
  /** Does not wait, and does not throw. */
  export(spans: readonly SpanFacts[]): void;
}

/** Undefined when it is none, or of a version that says otherwise. */
export function parseTraceparent(text: unknown): TraceContext | undefined {
  if (typeof text !== 'string') return undefined;
  const [, traceId = '', spanId = '', flags = ''] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(text) ?? [];
  if (traceId === '' || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export const traceparent = ({ traceId, spanId, sampled }: TraceContext): string =>
  `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;

export const newTraceId = (): string => randomBytes(16).toString('hex');
export const newSpanId = (): string => randomBytes(8).toString('hex');

/** The span of a task, whoever makes it, and how many attempts there are: ids of tasks are random. */
export const taskSpanId = (taskId: string): string => taskId.replaceAll('-', '').slice(0, 16);

/** Instead of a task's id: what is given to the function beside values of tasks. As long as one, and none. */
const TRACE_INPUT = 'traceparent'.padEnd(36, '-');

/** The context that a function runs in goes with what it is given, see `runtime_loop.py`: plain orders have nothing of it. */
export const traceInput = (context: TraceContext): TaskInput => ({
  taskId: TRACE_INPUT,
  payload: Buffer.from(traceparent(context)),
});
