import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import helmet from 'helmet';

/**
 * Helmet's headers for answers that are data: nothing of them is to be run, framed or guessed at. Pages name a policy of their own over
 * this one. Asked of helmet once, since they are always the same, and a dozen calls at every request would be felt.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = headersOfHelmet();

/** For the pages of /docs: files of this server alone; the page sets styles inside its elements. */
export const DOCUMENTATION_POLICY: Record<string, string> = {
  'default-src': "'self'",
  'style-src': "'self' 'unsafe-inline'",
  'img-src': "'self' data:",
  'object-src': "'none'",
  'base-uri': "'none'",
  'frame-ancestors': "'none'",
};

function headersOfHelmet(): Record<string, string> {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    xFrameOptions: { action: 'deny' },
    // For whoever adds TLS before this server to decide, who knows the other hosts of the domain.
    strictTransportSecurity: false,
  })(request, response, () => undefined);
  return Object.fromEntries(Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]));
}
