import { Type } from '@fastify/type-provider-typebox';
import type { Api, ApiServices } from '../services.js';

/** For load balancers and supervisors: whether to restart this process, whether to send it requests. */
export function healthRoutes(app: Api, { isReady, isDraining, warnings = [] }: ApiServices): void {
  app.get(
    '/health/live',
    {
      config: { scope: 'public' },
      schema: {
        operationId: 'isLive',
        tags: ['operations'],
        summary: 'Whether the process lives',
        response: { 200: Type.Object({ status: Type.Literal('live') }, { description: 'Always' }) },
      },
    },
    () => ({ status: 'live' as const }),
  );

  const Reach = (description: string) =>
    Type.Unsafe<'up' | 'away'>({ type: 'string', enum: ['up', 'away'], description });
  const Readiness = (description: string) =>
    Type.Object(
      {
        ready: Type.Boolean({ description: 'Requests can be served' }),
        redis: Reach('Nothing works without it'),
        nats: Reach('Without it all is slower, nothing is wrong'),
        draining: Type.Boolean({ description: 'The process is stopping' }),
        detail: Type.String({ description: 'The same in a sentence' }),
        warnings: Type.Optional(
          Type.Array(Type.String(), {
            description: 'What an operator should know, such as that the platform is open to the network',
          }),
        ),
      },
      { description },
    );

  app.get(
    '/health/ready',
    {
      config: { scope: 'public' },
      schema: {
        operationId: 'isReady',
        tags: ['operations'],
        summary: 'Whether requests should be sent here',
        response: { 200: Readiness('Yes'), 503: Readiness('No; `redis` and `draining` tell why') },
      },
    },
    async (_request, reply) => {
      const { redis, nats } = isReady();
      const draining = isDraining();
      const ready = redis && !draining;
      const away = [...(redis ? [] : ['Redis']), ...(nats ? [] : ['NATS'])];
      const detail = draining ? 'Stopping.' : away.length === 0 ? 'Ready.' : `Cannot reach ${away.join(' and ')}.`;
      if (!ready) reply.header('retry-after', '1');
      return reply.code(ready ? 200 : 503).send({
        ready,
        redis: redis ? 'up' : 'away',
        nats: nats ? 'up' : 'away',
        draining,
        detail,
        ...(warnings.length > 0 && { warnings: [...warnings] }),
      });
    },
  );
}
