import type { Config } from '../../bus/config.js';
import { isLoopback } from './posture.js';
import type { ServerSecurity } from './securedServers.js';

/** What protects a server that is started here, as the configuration says; nothing where there is no deployment. */
export function serverSecurity(config: Config, host: string): { security?: ServerSecurity } {
  const { credentials, tlsCert, tlsKey, redisCa } = config;
  if (credentials === undefined) return {};
  const tls = tlsCert !== undefined && tlsKey !== undefined && redisCa !== undefined;
  if (!tls || isLoopback(host)) return { security: { host, credentials } };
  return { security: { host, credentials, tls: { certificate: tlsCert, key: tlsKey, authority: redisCa } } };
}
