/** What a key may be good for. */
export const SCOPES = ['submit', 'read', 'operate', 'admin'] as const;
/**
 * - `submit`: register functions, submit tasks, cancel one's own.
 * - `read`: see one's own tasks, results, output, functions and lists.
 * - `operate`: workers, dispatchers, counts, the dashboard; drain, and run failed tasks again.
 * - `admin`: keys, and all tenants. It comes with the others.
 */
export type Scope = (typeof SCOPES)[number];

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

export const DEFAULT_TENANT = 'default';

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
