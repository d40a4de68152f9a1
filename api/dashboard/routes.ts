import type { FastifyReply, FastifyRequest } from 'fastify';
import { PlatformError } from '../../bus/errors.js';
import { sendStream } from '../sendStream.js';
import type { Api, ApiServices } from '../services.js';
import { type Asset, DashboardAssets } from './assets.js';
import { EventStream } from './eventStream.js';
import type { MachineDrawing } from './frame.js';
import { Sampler } from './sampler.js';

const A_YEAR_S = 31_536_000;
/** Far more than look at one API; each costs little, and not nothing. */
const MAX_STREAMS = 200;

/** The page at `/dashboard`: its frame, its files, and what it shows live. All else it asks of the API, with its user's key. */
export function dashboardRoutes(app: Api, services: ApiServices): void {
  pageRoutes(app);
  streamRoute(app, services);
}

/** Neither the page nor its files are secret. */
function pageRoutes(app: Api): void {
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

function streamRoute(app: Api, services: ApiServices): void {
  const { lists, store, metrics, version, dashboard } = services;
  const sampler = new Sampler({ lists, store, metrics, ownState: () => ownState(services), ...dashboard });
  const streams = new Set<EventStream>();
  let drawings: Promise<MachineDrawing[]> | undefined;
  app.addHook('preClose', (done) => {
    sampler.close();
    for (const stream of streams) stream.push(null);
    done();
  });

  app.get('/dashboard/stream', { config: { scope: 'operate' }, schema: { hide: true } }, async (_request, reply) => {
    if (streams.size >= MAX_STREAMS) {
      throw new PlatformError('TOO_MANY_WAITS', `${MAX_STREAMS} pages are shown how this API stands; no more can be.`);
    }
    // Layouts are a library's work, and loaded for those alone who see them.
    drawings ??= import('./drawing.js').then(({ drawMachines }) => drawMachines());
    const machines = await drawings;
    const { everyMs } = sampler;
    const body = new EventStream(sampler, () => {
      return { version, nowMs: Date.now(), everyMs, machines, history: [...sampler.points] };
    });
    streams.add(body);
    body.once('close', () => streams.delete(body));
    return sendStream(reply, { body, contentType: 'text/event-stream; charset=utf-8' });
  });
}

function ownState({ isReady, isDraining }: ApiServices): string {
  if (isDraining()) return 'draining';
  const { redis, nats } = isReady();
  return redis && nats ? 'running' : 'degraded';
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
