import type { FastifyInstance } from 'fastify';
import { type ProcessMetrics, RouteMetrics } from '../../bus/metrics.js';

/** Counts the answers of each route that is added from here on: each has its own counter at hand, and nothing is looked up. */
export function countRequests(app: Pick<FastifyInstance, 'addHook'>, counts: ProcessMetrics): void {
  app.addHook('onRoute', (route) => {
    // HEAD is served by the routes of GET.
    const method = [route.method].flat().find((one) => one !== 'HEAD');
    if (method === undefined) return;
    const metrics = new RouteMetrics(method, route.url);
    counts.routes.push(metrics);
    route.onResponse = [
      ...[route.onResponse ?? []].flat(),
      (_request, reply, done) => {
        metrics.observe(reply.statusCode, reply.elapsedTime / 1_000);
        done();
      },
    ];
  });
}
