import { DAY_MS, MAX_PICKLE_BYTES, MEBIBYTE, type Environment, integer, oneOf, port, text } from './values.js';

/** How the API is reached, and what it takes. */
export interface ApiConfig {
  /** `API_HOST`: address the API listens on. Default 127.0.0.1: the API runs code, so the network is opted into. */
  readonly apiHost: string;
  /** `API_PORT`: default 8000; 0 takes a free one. */
  readonly apiPort: number;
  /**
   * `API_KEYS`: `required` asks every caller for an API key, `off` lets everybody who reaches the API do everything. Default off, which
   * is for the loopback interface.
   */
  readonly apiKeysRequired: boolean;
  /** `AUDIT_LOG`: `on` writes who did what to logs/audit.log in the data directory. Default on where keys are asked for. */
  readonly auditLog: boolean;
  /** `MAX_BODY_BYTES`: largest HTTP request body, and so the largest function. Default 64 MiB. */
  readonly maxBodyBytes: number;
  /** `MAX_ARGUMENT_BYTES`: largest pickled arguments of one task. Default 64 MiB. */
  readonly maxArgumentBytes: number;
  /** `API_HOST_NAMES`: names under which the API is reached, separated by commas, where no keys are asked for: see `api/browserGuard.ts`. */
  readonly apiHostNames: readonly string[];
  /** `MAX_CONNECTIONS`: open at once. Default 8192. */
  readonly maxConnections: number;
  /** `MAX_CONNECTIONS_PER_ADDRESS`: the same of one client address; a proxy is one. Default 2048. */
  readonly maxConnectionsPerAddress: number;
  /** `REQUEST_TIMEOUT_MS`: how long an HTTP request may take to arrive whole, headers and body. Default 60000. */
  readonly requestTimeoutMs: number;
}

export function parseApi(env: Environment): ApiConfig {
  const apiKeys = oneOf(env, 'API_KEYS', ['off', 'required'], 'off');
  return {
    apiHost: text(env, 'API_HOST', '127.0.0.1'),
    apiPort: port(env, 'API_PORT', 8000),
    apiKeysRequired: apiKeys === 'required',
    auditLog: oneOf(env, 'AUDIT_LOG', ['off', 'on'], apiKeys === 'required' ? 'on' : 'off') === 'on',
    maxBodyBytes: integer(env, 'MAX_BODY_BYTES', 64 * MEBIBYTE, 1024, MAX_PICKLE_BYTES),
    maxArgumentBytes: integer(env, 'MAX_ARGUMENT_BYTES', 64 * MEBIBYTE, 1024, MAX_PICKLE_BYTES),
    apiHostNames: text(env, 'API_HOST_NAMES', '')
      .split(',')
      .filter((name) => name !== ''),
    maxConnections: integer(env, 'MAX_CONNECTIONS', 8_192, 1, 1_000_000),
    maxConnectionsPerAddress: integer(env, 'MAX_CONNECTIONS_PER_ADDRESS', 2_048, 1, 1_000_000),
    requestTimeoutMs: integer(env, 'REQUEST_TIMEOUT_MS', 60_000, 100, DAY_MS),
  };
}
