import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { createHash } from 'node:crypto';
import { PlatformError } from '../bus/errors.js';
import type { IdempotencyStore } from '../bus/idempotencyStore.js';
import { type IdSource, randomIds, seededIds } from './taskIds.js';

const HEADER = 'idempotency-key';

export const IdempotencyHeaders = Type.Object({
  [HEADER]: Type.Optional(
    Type.String({
      pattern: '^[\\x21-\\x7e]{1,255}$',
      description:
        'Makes a repeat of the request harmless: the same key and body have the same answer, and the tasks run once. For a day at most.',
      examples: ['8e03978e-40d5-43dd-bc93-6894a57f9324'],
    }),
  ),
  traceparent: Type.Optional(
    Type.String({
      description:
        "W3C trace context: the tasks' spans belong to this trace. Of no effect while the platform does not trace.",
    }),
  ),
});

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the body as it came; only where the request has an idempotency key. */
    bodyDigest: string | undefined;
  }
}

/** Keeps what tells a request from another one under the same key. To be called with the body as it came. */
export function digestBody(request: FastifyRequest, body: Buffer): void {
  if (request.headers[HEADER] === undefined) return;
  const hash = createHash('sha256').update(
    `${request.method} ${request.url} ${String(request.headers['content-type'])}\n`,
  );
  request.bodyDigest = hash.update(body).digest('hex');
}

export interface RequestIds {
  ids: IdSource;
  /** The idempotency key, where there is one: its request may have been here before. */
  once?: string;
}

/**
 * The ids for what a request creates: new ones, or those that an earlier request with the same key got. Nothing of the answer is
 * stored: with the same ids a repeat writes what is there already, and fills in what a crash had left out.
 * @throws PlatformError IDEMPOTENCY_MISMATCH, STORE_UNAVAILABLE
 */
export async function idsFor(request: FastifyRequest, store: IdempotencyStore): Promise<RequestIds> {
  const key = request.headers[HEADER];
  const { bodyDigest } = request;
  if (typeof key !== 'string' || bodyDigest === undefined) return { ids: randomIds };
  const { digest, seed } = await store.remember(key, bodyDigest, request.principal.tenant);
  if (digest !== bodyDigest) {
    throw new PlatformError('IDEMPOTENCY_MISMATCH', 'Another request was sent with this `Idempotency-Key` before.');
  }
  return { ids: seededIds(seed), once: key };
}
