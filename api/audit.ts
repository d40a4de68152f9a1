import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorCode } from '../bus/errors.js';
import { keyIdOf } from '../bus/apiKeys.js';
import { keyOf } from './access.js';

/** One line: who did what to what, and how it ended. */
export interface AuditEntry {
  /** `task.submit`, `worker.drain`, ...; `denied` where somebody was not let through. */
  readonly action: string;
  readonly outcome: 'done' | 'refused' | 'failed' | 'denied';
  readonly key?: string | undefined;
  readonly tenant?: string;
  readonly [detail: string]: unknown;
}

/** Where the lines go. Must not throw, nor keep anybody waiting. */
export type AuditLog = (entry: AuditEntry) => void;

/** Lines on denied requests in a second; beyond, they are counted: whoever floods the API shall not flood the disk. */
const DENIED_PER_SECOND = 10;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a call of the route is called in the audit log; routes that change nothing have none. */
    audit?: string;
  }
  interface FastifyRequest {
    /** What was done to what, for the audit log; parameters of the path are there anyway. */
    audited: Record<string, unknown> | undefined;
  }
}

/** Has every call of a route with `config: { audit }` written down when it has been answered. One line, however many tasks. */
export function recordActions(app: FastifyInstance, write: AuditLog | undefined): void {
  app.decorateRequest('audited', undefined);
  if (!write) return;
  const record = (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const { statusCode: status } = reply;
    if (!isDenied(status)) {
      const outcome = status < 400 ? 'done' : status < 500 ? 'refused' : 'failed';
      const { audit: action = '' } = request.routeOptions.config;
      write({ action, outcome, ...whoAsks(request), status, ...targetOf(request) });
    }
    done();
  };
  app.addHook('onRoute', (route) => {
    if (route.config?.audit !== undefined) route.onResponse = [route.onResponse ?? [], record].flat();
  });
}

/** Denied requests have lines of their own, a bounded number of them. */
const isDenied = (status: number): boolean => status === 401 || status === 403 || status === 429;

/** Writes down who was not let through, and why. */
export function deniedRecorder(write: AuditLog): (request: FastifyRequest, status: number, code: ErrorCode) => void {
  let second = 0;
  let count = 0;
  let untold = 0;
  return (request, status, code) => {
    if (!isDenied(status)) return;
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) [second, count] = [now, 0];
    if (++count > DENIED_PER_SECOND) {
      untold++;
      return;
    }
    const { method, routeOptions } = request;
    // The id of a key is no secret; the rest of what was sent is not repeated.
    const shown = keyIdOf(keyOf(request) ?? '');
    const what = { status, code, method, route: routeOptions.url, ...(shown !== undefined && { shown_key: shown }) };
    write({ action: 'denied', outcome: 'denied', ...whoAsks(request), ...what, ...(untold > 0 && { untold }) });
    untold = 0;
  };
}

function whoAsks(request: FastifyRequest): { key?: string; tenant: string; address: string; request_id: string } {
  const { keyId, tenant } = request.principal;
  return { ...(keyId !== undefined && { key: keyId }), tenant, address: request.ip, request_id: request.id };
}

/** Ids in the path as they were given: what is told of an unknown one is that it was asked for. */
function targetOf({ params, audited }: FastifyRequest): Record<string, unknown> {
  const target = { ...(params as Record<string, string>), ...audited };
  return Object.keys(target).length === 0 ? {} : { target };
}
