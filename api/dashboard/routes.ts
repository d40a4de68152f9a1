import type { FastifyReply, FastifyRequest } from 'fastify';
import { PlatformError } from '../../bus/errors.js';
import type { Api } from '../services.js';
import { type Asset, DashboardAssets } from './assets.js';

const A_YEAR_S = 31_536_000;

/** The page at `/dashboard`: its frame and its files. Neither is secret;
 * what the page shows it asks of the API, with its user's key. */
export function dashboardRoutes(app: Api): void {
  // Read when the first one asks: most APIs of a platform are never looked at.
  let read: DashboardAssets | undefined;
  const assets = (): DashboardAssets => (read ??= new DashboardAssets());

  app.get('/dashboard', { config: { scope: 'public' }, schema: { hide: true } }, (request, reply) => {
    const { page, contentSecurityPolicy } = assets();
    reply.header('content-security-policy', contentSecurityPolicy);
    reply.header('referrer-policy', 'no-referrer');
    reply.header('cache-control', 'no-cache');
    return send(request, reply, page);
  });

  app.get<{ Params: { '*': string } }>(
    '/dashboard/assets/*',
    { config: { scope: 'public' }, schema: { hide: true } },
    (request, reply) => {
      const asset = assets().find(request.params['*']);
      if (!asset) throw new PlatformError('NOT_FOUND', 'The dashboard has no such file: load the page again.');
      reply.header('cache-control', `public, max-age=${A_YEAR_S}, immutable`);
      return send(request, reply, asset);
    },
  );
}

function send(request: FastifyRequest, reply: FastifyReply, { bytes, gzip, type, etag }: Asset): FastifyReply {
  reply.header('etag', etag);
  reply.header('vary', 'accept-encoding');
  reply.header('x-content-type-options', 'nosniff');
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  reply.type(type);
  if (gzip && /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) {
    return reply.header('content-encoding', 'gzip').send(gzip);
  }
  return reply.send(bytes);
}
