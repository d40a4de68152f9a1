import type { FastifyReply } from 'fastify';

/** A client that may leave before it has its answer. An `AbortSignal` says the same, at 15 us for each request. */
export class Client {
  hasLeft = false;
  /** Called when it leaves; whoever waits for it at the moment. */
  onLeft: (() => void) | undefined;

  leave(): void {
    this.hasLeft = true;
    this.onLeft?.();
  }
}

/** The client of a request. (`request.raw` also closes when a request has merely been read.) */
export function clientOf(reply: Pick<FastifyReply, 'raw'>): Client {
  const client = new Client();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) client.leave();
  });
  return client;
}
