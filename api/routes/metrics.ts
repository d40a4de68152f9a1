import { Type } from '@fastify/type-provider-typebox';
import { exposition, EXPOSITION_TYPE } from '../metrics/exposition.js';
import type { Api, ApiServices } from '../services.js';

/** Numbers for Prometheus. */
export function metricRoutes(app: Api, { metrics }: ApiServices): void {
  app.get(
    '/metrics',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'getMetrics',
        tags: ['operations'],
        summary: 'Metrics of every process, for Prometheus',
        description: `Prometheus' text format. One scrape of any API has the metrics of the whole platform, told apart by the labels
\`component\` and \`instance\`: scrape with \`honor_labels: true\`. A process that does not answer within half a second has \`mpcsfaas_up\` 0.`,
        response: {
          200: { content: { 'text/plain': { schema: Type.String({ description: 'One sample a line' }) } } },
        },
      },
    },
    async (_request, reply) => reply.type(EXPOSITION_TYPE).send(exposition(await metrics.gather())),
  );
}
