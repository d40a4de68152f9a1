import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import type { ComponentKind } from '../bus/controlMessages.js';
import type { SpanFacts, Tracer } from '../bus/tracing.js';

export interface OtlpOptions {
  /** `http://collector:4318`; spans go to `/v1/traces` below it. */
  endpoint: string;
  ratio: number;
  serviceName: string;
  kind: ComponentKind;
  id: string;
}

/** Spans that wait for the collector at most; more are dropped. */
const MAX_QUEUED = 8_192;
const EXPORT_EVERY_MS = 1_000;
const EXPORT_TIMEOUT_MS = 5_000;

export interface OtlpTracer extends Tracer {
  /** Sends what there is, bounded. */
  close(): Promise<void>;
}

/** Spans to an OTLP/HTTP collector. What it needs is loaded here alone: a platform without tracing does not carry it. */
export async function openOtlpTracer({ endpoint, ratio, serviceName, kind, id }: OtlpOptions): Promise<OtlpTracer> {
  const [{ BatchSpanProcessor }, { OTLPTraceExporter }, { resourceFromAttributes }, { SpanKind, SpanStatusCode }] =
    await Promise.all([
      import('@opentelemetry/sdk-trace-base'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
      import('@opentelemetry/api'),
    ]);
  const resource = resourceFromAttributes({
    'service.name': serviceName,
    'service.instance.id': id,
    'mpcsfaas.component': kind,
  });
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: EXPORT_TIMEOUT_MS,
  });
  const processor = new BatchSpanProcessor(exporter, {
    ...{ maxQueueSize: MAX_QUEUED, scheduledDelayMillis: EXPORT_EVERY_MS, exportTimeoutMillis: EXPORT_TIMEOUT_MS },
  });
  const kinds = { server: SpanKind.SERVER, internal: SpanKind.INTERNAL, consumer: SpanKind.CONSUMER };
  const readable = (facts: SpanFacts): ReadableSpan => {
    const { context, parentSpanId, links = [], error } = facts;
    const { traceId } = context;
    return {
      name: facts.name,
      kind: kinds[facts.kind],
      spanContext: () => ({ traceId, spanId: context.spanId, traceFlags: 1 }),
      ...(parentSpanId !== undefined && { parentSpanContext: { traceId, spanId: parentSpanId, traceFlags: 1 } }),
      startTime: hrTime(facts.startMs),
      endTime: hrTime(facts.endMs),
      duration: hrTime(facts.endMs - facts.startMs),
      status: error === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: error },
      attributes: error === undefined ? facts.attributes : { ...facts.attributes, 'error.type': error },
      links: links.map((link) => ({ context: { traceId: link.traceId, spanId: link.spanId, traceFlags: 1 } })),
      events: [],
      ended: true,
      resource,
      instrumentationScope: { name: 'mpcsfaas' },
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  };
  return {
    ratio,
    export: (spans) => {
      for (const facts of spans) processor.onEnd(readable(facts));
    },
    close: () => processor.shutdown(),
  };
}

const hrTime = (ms: number): [seconds: number, nanoseconds: number] => {
  const seconds = Math.trunc(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
};
