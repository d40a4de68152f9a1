import { DEFAULT_TENANT, type Scope, SCOPES } from '../bus/apiKeys.js';

export { DEFAULT_TENANT, type Scope, SCOPES };

/** What a route asks of who calls it; `public` asks nothing, not even a key. */
export type RouteScope = Scope | 'public';

/** Who asks: on every request as `request.principal`. */
export interface Principal {
  /** Whose functions and tasks these are: `[a-z0-9][a-z0-9_-]{0,31}`. */
  readonly tenant: string;
  /** None where no keys are asked for. */
  readonly keyId: string | undefined;
  readonly scopes: ReadonlySet<Scope>;
}

/** Where no keys are asked for, everybody is this one. */
export const EVERYBODY: Principal = { tenant: DEFAULT_TENANT, keyId: undefined, scopes: new Set(SCOPES) };
/** Who has shown no key, where keys are asked for: public routes alone are open. */
export const NOBODY: Principal = { tenant: DEFAULT_TENANT, keyId: undefined, scopes: new Set() };

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal;
  }
  interface FastifyContextConfig {
    /** Declared by every route, beside its path: the API does not start with one that does not. */
    scope?: RouteScope;
  }
}
