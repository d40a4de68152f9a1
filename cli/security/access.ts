import { readFileSync } from 'node:fs';
import type { Config, Environment } from '../../bus/config.js';
import type { Role } from '../../bus/config/security.js';
import type { NatsAccess } from '../../bus/natsBus.js';
import type { RedisAccess } from '../../bus/redis/connection.js';
import { readConfigFile } from './configFile.js';
import { forRole } from './roles.js';

/** How this process reaches Redis: asked again at each connection, since credentials and certificates may have been changed. */
export function redisAccess(config: Config, role: Role | undefined): () => RedisAccess {
  return () => {
    const password = secretInFile(config, role, 'REDIS_PASSWORD') ?? config.redisPassword;
    const username = config.redisUser ?? (password === undefined ? undefined : role);
    return {
      url: config.redisUrl,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...(config.redisUrl.startsWith('rediss:') && { tls: redisTls(config) }),
    };
  };
}

export function natsAccess(config: Config, role: Role | undefined): NatsAccess {
  const { natsNkey, natsNkeyFile, natsCreds, natsToken, natsCa, natsUrl } = config;
  const hasNkey = natsNkey !== undefined || natsNkeyFile !== undefined;
  return {
    ...(hasNkey && {
      nkey: () =>
        secretInFile(config, role, 'NATS_NKEY') ?? natsNkey ?? readFileSync(natsNkeyFile ?? '', 'utf8').trim(),
    }),
    ...(natsCreds !== undefined && { credentials: readFileSync(natsCreds, 'utf8') }),
    ...(natsToken !== undefined && { token: natsToken }),
    ...(natsCa !== undefined && natsUrl.includes('tls://') && { ca: readFileSync(natsCa, 'utf8') }),
  };
}

function redisTls({ redisCa, redisCert, redisKey }: Config): NonNullable<RedisAccess['tls']> {
  const content = (path: string): string => readFileSync(path, 'utf8');
  return {
    ...(redisCa !== undefined && { ca: content(redisCa) }),
    ...(redisCert !== undefined && { cert: content(redisCert) }),
    ...(redisKey !== undefined && { key: content(redisKey) }),
  };
}

/** What the deployment's file says now; undefined while it cannot be read, or says nothing. */
function secretInFile({ configFile }: Config, role: Role | undefined, name: string): string | undefined {
  if (configFile === undefined || role === undefined) return undefined;
  let file: Environment;
  try {
    file = readConfigFile(configFile);
  } catch {
    return undefined;
  }
  return forRole(file, role)[name];
}
