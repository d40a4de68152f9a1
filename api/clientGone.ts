import type { FastifyReply } from 'fastify';

/** Aborted when the client disconnects before it has its answer. (`request.raw` also closes when a request has merely been read.) */
export function clientGone(reply: Pick<FastifyReply, 'raw'>): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
