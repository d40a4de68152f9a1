import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import { PlatformError } from '../bus/errors.js';
import type { Connections } from './connections.js';
import { EVERYBODY, NOBODY, type Principal, type RouteScope } from './principal.js';

/** Who holds a key. `undefined`: nobody. A promise only where it must be looked up. */
export type KeyHolder = (key: string) => Principal | undefined | Promise<Principal | undefined>;

declare module 'fastify' {
  interface FastifyInstance {
    /** All there are, each with its `config.scope`. */
    guardedRoutes: readonly RouteOptions[];
  }
}

/**
 * Sets `request.principal`, and lets nobody through to a route whose scope they do not have. Every route declares its scope as
 * `config: { scope }`; one that does not keeps the API from starting. Without keys everybody may do everything.
 */
export function guardRoutes(
  app: FastifyInstance,
  keys: { holderOf: KeyHolder } | undefined,
  connections?: Pick<Connections, 'usedBy'>,
): void {
  app.decorateRequest('principal');
  const routes: RouteOptions[] = [];
  app.decorate('guardedRoutes', routes);
  app.addHook('onRoute', (route) => void routes.push(route));
  app.addHook('onReady', (done) => {
    routes.forEach(mustDeclareScope);
    done();
  });
  if (keys === undefined) {
    app.addHook('onRequest', (request, _reply, done) => {
      request.principal = EVERYBODY;
      done();
    });
    return;
  }
  app.addHook('onRequest', (request, _reply, done) => {
    request.principal = NOBODY;
    const scope = scopeOf(request);
    if (scope === 'public') {
      done();
      return;
    }
    const key = keyOf(request);
    if (key === undefined) {
      done(new PlatformError('UNAUTHENTICATED', 'This needs an API key, and none was sent.'));
      return;
    }
    const enter = (holder: Principal | undefined): void => {
      if (!holder) {
        done(new PlatformError('UNAUTHENTICATED', 'The API key is unknown, revoked or expired.'));
        return;
      }
      request.principal = holder;
      if (holder.keyId !== undefined) connections?.usedBy(request.raw.socket, holder.keyId);
      if (holder.scopes.has(scope)) done();
      else done(new PlatformError('FORBIDDEN', `The API key does not have the scope \`${scope}\`, which this needs.`));
    };
    const holder = keys.holderOf(key);
    if (holder instanceof Promise) holder.then(enter, done);
    else enter(holder);
  });
}

function mustDeclareScope({ method, url, config }: RouteOptions): void {
  if (config?.scope === undefined) {
    throw new Error(
      `${String(method)} ${url} does not declare its scope: add \`config: { scope: ... }\` to the route.`,
    );
  }
}

/** Where there is no route, there is nothing to protect. */
function scopeOf(request: FastifyRequest): RouteScope {
  if (request.is404) return 'public';
  return request.routeOptions.config.scope ?? 'admin';
}

const BEARER = /^bearer +(\S+) *$/i;

/** Of the request's headers; empty when there is something that has not the form of one. */
export function keyOf({ headers }: FastifyRequest): string | undefined {
  const { authorization } = headers;
  if (authorization !== undefined) return BEARER.exec(authorization)?.[1] ?? '';
  const key = headers['x-api-key'];
  return typeof key === 'string' ? key : undefined;
}
