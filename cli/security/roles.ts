import { type Environment } from '../../bus/config.js';
import { type Role, ROLES } from '../../bus/config/security.js';
import { CONFIG_VARIABLE, readConfigFile } from './configFile.js';

/** Variables that each role has of its own, with the role's name at their end. */
const OF_ROLES = ['REDIS_PASSWORD', 'NATS_NKEY'];
/** What nobody but the platform's own actors has to know. */
const SECRETS =
  /^(REDIS_|NATS_|TLS_|DISPATCHER_KEYS$|CREDENTIALS$|WORKER_KEYS$|API_KEY|FIRST_API_KEY$|MPCSFAAS_CONFIG$)/;

const variableOf = (name: string, role: Role): string => `${name}_${role.toUpperCase()}`;

/** The variables as this role sees them: its own credentials under the plain names, and nobody else's. */
export function forRole(env: Environment, role: Role): Environment {
  const seen: Record<string, string | undefined> = { ...env };
  for (const name of OF_ROLES) {
    const own = env[variableOf(name, role)];
    if (own !== undefined && own !== '' && (seen[name] ?? '') === '') {
      seen[name] = own;
      if (name === 'REDIS_PASSWORD') seen['REDIS_USER'] = role;
    }
    for (const other of ROLES) Reflect.deleteProperty(seen, variableOf(name, other));
  }
  return seen;
}

/**
 * What an actor that is started from here gets: not what it reads by itself from the deployment's file, which may have changed by the
 * time it is started again.
 */
export function handedOn(env: Environment): Environment {
  const path = env[CONFIG_VARIABLE];
  if (path === undefined || path === '') return env;
  const inFile = readConfigFile(path);
  return Object.fromEntries(Object.entries(env).filter(([name, value]) => inFile[name] !== value));
}

/** For a worker: everything but the secrets of others. */
export function withoutSecrets(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !SECRETS.test(name)));
}
