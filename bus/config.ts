import { type ApiConfig, parseApi } from './config/api.js';
import { type DispatchingConfig, parseDispatching } from './config/dispatching.js';
import { type ProcessConfig, parseProcess } from './config/process.js';
import { parseSandbox, type SandboxConfig } from './config/sandbox.js';
import { parseSecurity, type SecurityConfig } from './config/security.js';
import { type ServersConfig, parseServers } from './config/servers.js';
import { parseTracing, type TracingConfig } from './config/tracing.js';
import { type TasksConfig, parseTasks } from './config/tasks.js';
import { parseTenants, type TenantsConfig } from './config/tenants.js';
import { type WorkersConfig, parseWorkers } from './config/workers.js';
import { type Environment } from './config/values.js';

export { type LogFormat, type LogLevel, type Mode, MODES } from './config/process.js';
export { FSYNC_POLICIES, type FsyncPolicy } from './config/servers.js';
export { type SandboxKind, SANDBOXES } from './config/sandbox.js';
export { ConfigError, type Environment } from './config/values.js';

/** Everything that can be set from outside, parsed once at the start of a process; by concern in `config/`, each variable in its doc. */
export interface Config
  extends
    ApiConfig,
    ServersConfig,
    ProcessConfig,
    WorkersConfig,
    SandboxConfig,
    DispatchingConfig,
    TasksConfig,
    SecurityConfig,
    TenantsConfig,
    TracingConfig {}

/**
 * Reads a configuration from variables; an empty one counts as not set, so that `make VAR=` works.
 * @throws ConfigError at the first variable that is wrong.
 */
export function parseConfig(env: Environment): Config {
  return {
    ...parseApi(env),
    ...parseServers(env),
    ...parseProcess(env),
    ...parseWorkers(env),
    ...parseSandbox(env),
    ...parseDispatching(env),
    ...parseTasks(env),
    ...parseSecurity(env),
    ...parseTracing(env),
    ...parseTenants(env),
  };
}
