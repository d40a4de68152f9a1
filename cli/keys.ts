import type { Redis } from 'ioredis';
import { existsSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { keyStory } from '../api/keyStory.js';
import type { Config, Environment } from '../bus/config.js';
import { type ApiKeyStore, newApiKey, type Scope } from '../bus/apiKeys.js';
import { PlatformError } from '../bus/errors.js';
import { connectRedis } from '../bus/redis/connection.js';
import { RedisApiKeys } from '../bus/redis/redisApiKeys.js';
import { auditPath, openAuditFile } from './auditFile.js';
import { CommandError, EXIT } from './client/platformApi.js';
import { openScreen, type Screen, table } from './client/screen.js';
import { ago } from './client/words.js';
import { redisAccess } from './security/access.js';
import { redisSocket } from './servers.js';

const CONNECT_WAIT_MS = 5_000;
const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export interface CreateOptions {
  tenant: string;
  scope: string[];
  expires?: string;
  name: string;
  out?: string;
  json?: boolean;
}

/** What the commands for keys work with: Redis itself, so that the first key needs none. */
interface Opened {
  keys: ApiKeyStore;
  screen: Screen;
}

export function createKey(config: Config, env: Environment, options: CreateOptions): Promise<void> {
  return withKeys(config, env, options, async ({ keys, screen }) => {
    const nowMs = Date.now();
    const { tenant, scope, name, expires } = options;
    const expiry = expires === undefined ? {} : { expiresAtMs: nowMs + durationMs(expires) };
    const { key, record } = newApiKey({ tenant, name, scopes: scope as Scope[], ...expiry }, nowMs);
    // Before the key is good for anything: one that nobody has would be left.
    if (options.out !== undefined) writeKeyFile(options.out, key);
    await keys.add(record);
    noteInAudit(config, 'key.create', { key_id: record.keyId, tenant, scopes: record.scopes });
    if (screen.json) {
      screen.object({ ...keyStory(record, nowMs), ...(options.out === undefined && { key }) });
      return;
    }
    // Alone on stdout, for programs that take it from there.
    if (options.out === undefined) screen.line(key);
    const where =
      options.out === undefined ? 'This is the only time that the key is shown.' : `The key is in ${options.out}.`;
    screen.note(`${where} To revoke it: mpcsfaas key revoke ${record.keyId}`);
  });
}

export function listKeys(config: Config, env: Environment, options: { json?: boolean }): Promise<void> {
  return withKeys(config, env, options, async ({ keys, screen }) => {
    const nowMs = Date.now();
    const { records } = await keys.read();
    if (screen.json) for (const record of records) screen.object(keyStory(record, nowMs));
    else if (records.length === 0) screen.line('There are no keys.');
    else {
      const rows = records.map((record) => keyStory(record, nowMs));
      const header = ['KEY', 'STATE', 'TENANT', 'SCOPES', 'MADE', 'EXPIRES', 'NAME'];
      const lines = rows.map(({ key_id, state, tenant, scopes, created_at, expires_at, name }) => [
        ...[key_id, state, tenant, scopes.join(','), ago(created_at), expires_at ?? 'never', name],
      ]);
      for (const line of table(header, lines)) screen.line(line);
    }
  });
}

export function revokeKeys(
  config: Config,
  env: Environment,
  keyIds: readonly string[],
  options: { json?: boolean },
): Promise<void> {
  return withKeys(config, env, options, async ({ keys, screen }) => {
    const nowMs = Date.now();
    for (const keyId of keyIds) {
      const record = await keys.revoke(keyId, nowMs);
      // Not repeated in the message: somebody may have given the whole key.
      if (!record) throw new CommandError('There is no such key; `mpcsfaas key list` shows their ids.', EXIT.usage);
      noteInAudit(config, 'key.revoke', { key_id: keyId });
      if (screen.json) screen.object(keyStory(record, nowMs));
      else screen.line(`${keyId} is revoked.`);
    }
  });
}

const withKeys = (
  config: Config,
  env: Environment,
  options: { json?: boolean },
  work: (opened: Opened) => Promise<void>,
): Promise<void> => withRedis(config, env, options, (redis, screen) => work({ keys: new RedisApiKeys(redis), screen }));

/** Connects to the platform's Redis for one command. @throws CommandError in words for people */
export async function withRedis(
  config: Config,
  env: Environment,
  { json }: { json?: boolean },
  work: (redis: Redis, screen: Screen) => Promise<void>,
): Promise<void> {
  const url = redisUrl(config, env);
  const redis = connectRedis(redisAccess({ ...config, redisUrl: url }, 'admin'), {
    lost: () => undefined,
    restored: () => undefined,
  });
  try {
    const deadline = Date.now() + CONNECT_WAIT_MS;
    while (redis.status !== 'ready' && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    if (redis.status !== 'ready') {
      const where = url.replace(/\/\/[^@/]*@/, '//');
      throw new CommandError(
        `Redis does not answer at ${where}. Start the platform, or name its Redis with REDIS_URL.`,
        EXIT.unreachable,
      );
    }
    await work(redis, openScreen(json === true, env));
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    throw new CommandError(error.message, error.code === 'STORE_UNAVAILABLE' ? EXIT.unreachable : EXIT.usage);
  } finally {
    redis.disconnect();
  }
}

function writeKeyFile(path: string, key: string): void {
  try {
    writeFileSync(path, `${key}\n`, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'EEXIST' ? 'there is such a file already' : String(cause);
    throw new CommandError(`The key cannot be written to ${path}: ${why}.`, EXIT.usage, { cause });
  }
}

/** Where this is the machine of an API. */
function noteInAudit({ dataDir }: Config, action: string, target: object): void {
  if (!existsSync(dirname(auditPath(dataDir)))) return;
  const file = openAuditFile(dataDir, () => undefined, true);
  file.write({ action, outcome: 'done', by: `${userInfo().username} on the command line`, target });
  void file.close();
}

/** Where nothing names it, that of the `make up` of this directory. */
function redisUrl(config: Config, env: Environment): string {
  if ((env['REDIS_URL'] ?? '') !== '') return config.redisUrl;
  const socket = redisSocket(join(config.dataDir, 'redis'));
  return socket !== undefined && existsSync(new URL(socket).pathname) ? socket : config.redisUrl;
}

/** `90s`, `30m`, `12h`, `30d`. */
function durationMs(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const ms = Number(digits) * (UNIT_MS[unit] ?? NaN);
  if (!(ms > 0)) throw new CommandError(`--expires ${text} is not a duration such as 12h or 30d.`, EXIT.usage);
  return ms;
}
