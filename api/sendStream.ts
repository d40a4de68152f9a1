import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';

/** What is needed of a Fastify reply, whatever the schema of its route. */
export interface StreamReply {
  raw: ServerResponse;
  header: (name: string, value: string) => unknown;
}

/** Answers with a stream, which ends with the connection. */
export function sendStream(reply: StreamReply, stream: { body: Readable; contentType: string }): never {
  const { body, contentType } = stream;
  reply.raw.once('close', () => body.destroy());
  if (reply.raw.destroyed) body.destroy();
  // Neither proxies nor browsers shall keep back what has been sent.
  reply.header('cache-control', 'no-store');
  reply.header('x-accel-buffering', 'no');
  reply.header('content-type', contentType);
  return body as never;
}
