import { type Scope, SCOPES } from '../bus/apiKeys.js';
import { type Asker, DEFAULT_TENANT } from '../bus/tenants.js';

export { type Scope, SCOPES };

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

/** As whom the store is asked: who may see all tenants names none. */
export const askerOf = ({ tenant, scopes }: Principal): Asker => (scopes.has('admin') ? undefined : tenant);

/** What is stored with what they make; nothing for `default`. */
export const ownerOf = ({ tenant }: Principal): string | undefined => (tenant === DEFAULT_TENANT ? undefined : tenant);

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
