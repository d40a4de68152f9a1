import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isIP } from 'node:net';
import { PlatformError } from '../bus/errors.js';

/**
 * Keeps pages of other sites from using the API through their visitors' browsers, who may be on this very machine.
 *
 * - A request that a page of another origin makes is refused, with or without a key. Following a link to a page is not.
 * - Where no keys are asked for, so is one for a host name that could be anybody's: a page whose name is made to lead here (DNS
 *   rebinding) is of our origin for the browser. Addresses, names without a dot and `hostNames` are ours.
 */
export function refuseOtherSites(app: FastifyInstance, hostNames: readonly string[] | undefined): void {
  const known = new Set(hostNames?.map((name) => name.toLowerCase()));
  app.addHook('onRequest', (request, _reply, done) => {
    if (isOfOtherSite(request)) {
      done(new PlatformError('FORBIDDEN_ORIGIN', 'This was asked by a web page of another site.'));
    } else if (hostNames !== undefined && !isOurs(request.headers.host, known)) {
      done(new PlatformError('FORBIDDEN_HOST', 'This server does not know the host name that the request is for.'));
    } else done();
  });
}

function isOfOtherSite({ headers, method }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site === 'same-origin' || site === 'none') return false;
  if (site !== undefined) return method !== 'GET' || headers['sec-fetch-mode'] !== 'navigate';
  const { origin } = headers;
  if (origin === undefined) return false;
  // What a browser without Sec-Fetch-Site says of a page: `null`, or scheme and host.
  const host = origin.slice(origin.indexOf('//') + 2);
  return host !== headers.host && host !== headers['x-forwarded-host'];
}

function isOurs(host: string | undefined, known: ReadonlySet<string>): boolean {
  if (host === undefined) return true; // No browser.
  const name = host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return !name.includes('.') || isIP(name) !== 0 || name.endsWith('.localhost') || known.has(name);
}
