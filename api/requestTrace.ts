import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  newSpanId,
  newTraceId,
  parseTraceparent,
  type TraceContext,
  traceparent,
  type Tracer,
} from '../bus/tracing.js';

/**
 * The span of a request that submits tasks, which theirs belong under; it is made when the answer has left, or the client is gone.
 * @param links what it has to do with besides; may grow until then
 * @returns what its tasks are submitted with; undefined when it is not traced
 */
export function traceRequest(
  tracer: Tracer | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
  links: readonly TraceContext[] = [],
): string | undefined {
  if (!tracer) return undefined;
  const parent = parseTraceparent(request.headers['traceparent']);
  const sampled = parent ? parent.sampled : Math.random() < tracer.ratio;
  if (!sampled) return undefined;
  const context: TraceContext = { traceId: parent?.traceId ?? newTraceId(), spanId: newSpanId(), sampled };
  const startMs = Date.now() - reply.elapsedTime;
  const { method } = request;
  const route = request.routeOptions.url ?? '';
  reply.raw.once('close', () => {
    const { statusCode } = reply;
    tracer.export([
      {
        ...{ name: `${method} ${route}`, kind: 'server', context, startMs, endMs: Date.now() },
        ...(parent && { parentSpanId: parent.spanId }),
        ...(links.length > 0 && { links }),
        ...(statusCode >= 500 && { error: String(statusCode) }),
        attributes: {
          'http.request.method': method,
          'http.route': route,
          'http.response.status_code': statusCode,
          'mpcsfaas.request.id': request.id,
        },
      },
    ]);
  });
  return traceparent(context);
}
