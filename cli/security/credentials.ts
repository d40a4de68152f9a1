import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { nkeys } from 'nats';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { type ControlTopic, CONTROL_TOPICS } from '../../bus/controlMessages.js';
import { type Role, ROLES } from '../../bus/config/security.js';
import { SUBJECT_PREFIX } from '../../bus/natsBus.js';
import { StartError } from '../startError.js';
import { writeSecretFile } from './secretFile.js';

/** A password or the seed of an nkey. Several of one role are good at once while they are being changed; the newest is the first. */
const Secret = Type.Object({ secret: Type.String(), created: Type.String(), retires: Type.Optional(Type.String()) });
const OfRoles = Type.Object({
  api: Type.Array(Secret),
  dispatcher: Type.Array(Secret),
  monitor: Type.Array(Secret),
  admin: Type.Array(Secret),
});
const CredentialsFile = Type.Object({ redis: OfRoles, nats: OfRoles });
/** Who may use a Redis and a NATS of ours. */
export type Credentials = Static<typeof CredentialsFile>;

const PASSWORD_BYTES = 24;

interface KeyPair {
  getSeed(): Uint8Array;
  getPublicKey(): string;
}
/** The package has no types for them. */
const NKEYS = nkeys as { createUser(): KeyPair; fromSeed(seed: Uint8Array): KeyPair };

export function newCredentials(now: Date): Credentials {
  return addSecrets({ redis: noSecrets(), nats: noSecrets() }, now, now);
}

/** With a new secret for every role and server; the present ones are good until `retires`. */
export function addSecrets(present: Credentials, now: Date, retires: Date): Credentials {
  const created = now.toISOString();
  const renew = (before: Credentials['redis'], make: () => string): Credentials['redis'] => {
    const renewed = noSecrets();
    for (const role of ROLES) {
      const old = inUse(before[role], now).map((one) => ({ ...one, retires: one.retires ?? retires.toISOString() }));
      renewed[role] = [{ secret: make(), created }, ...old];
    }
    return renewed;
  };
  return {
    redis: renew(present.redis, () => randomBytes(PASSWORD_BYTES).toString('base64url')),
    nats: renew(present.nats, () => new TextDecoder().decode(NKEYS.createUser().getSeed())),
  };
}

/** @throws StartError when it cannot be read or is something else. */
export function readCredentials(path: string): Credentials {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new StartError(`${path} cannot be read; \`mpcsfaas init\` makes such a file.`, { cause });
  }
  if (!Value.Check(CredentialsFile, value)) throw new StartError(`${path} is not what \`mpcsfaas init\` makes.`);
  return value;
}

export const writeCredentials = (path: string, credentials: Credentials): void =>
  writeSecretFile(path, `${JSON.stringify(credentials, null, 2)}\n`);

/** Variables by which the roles know their own: `REDIS_PASSWORD_API` and so on. */
export function roleVariables({ redis, nats }: Credentials): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const role of ROLES) {
    variables[`REDIS_PASSWORD_${role.toUpperCase()}`] = redis[role][0]?.secret ?? '';
    variables[`NATS_NKEY_${role.toUpperCase()}`] = nats[role][0]?.secret ?? '';
  }
  return variables;
}

/**
 * What a role may do in Redis: commands on data by category, so that a script may use what it needs, but nothing that shows, stops or
 * empties the server; and only where its things lie (`bus/redis/keys.ts`). A script that runs for a role may touch no more than the role.
 */
const COMMANDS = [
  ...[
    '-@all',
    '+@read',
    '+@write',
    '+@connection',
    '+@transaction',
    '+eval',
    '+evalsha',
    '+script|load',
    '+time',
    '+info',
  ],
  ...[
    '-@dangerous',
    '+info',
    '-@blocking',
    '-@pubsub',
    '+publish',
    '+pubsub|numsub',
    '+subscribe',
    '-scan',
    '-randomkey',
    '-dbsize',
    '-copy',
    '-rename',
    '-renamenx',
  ],
].join(' ');
const SHARED_KEYS = ['~{q:*', '~workers', '~dispatchers', '~event-seal', '%R~tenants'];
const KEYS: Record<Exclude<Role, 'admin'>, string[]> = {
  api: ['~*'],
  dispatcher: [...SHARED_KEYS, '%R~function:*', '~runs:*'],
  monitor: [...SHARED_KEYS, '%R~tenants'],
};
/** What scripts have to say to one process, see `bus/redis/mailbox.ts`. */
const CHANNELS: Record<Exclude<Role, 'admin'>, string> = {
  api: '&handed:* &ended:*',
  dispatcher: '&handed:* &ended:*',
  monitor: '',
};
/** For people who look after the platform: all data, and what shows how the server stands. */
const ADMIN = '~* &* +@all -flushall -flushdb -shutdown -debug -module -replicaof -slaveof -failover -migrate -restore';

/** The users of Redis as the lines of an ACL file; passwords as their hashes. */
export function redisUsers({ redis }: Credentials, now: Date): string[] {
  const hashes = (role: Role): string =>
    inUse(redis[role], now)
      .map(({ secret }) => `#${createHash('sha256').update(secret).digest('hex')}`)
      .join(' ');
  return [
    'user default off sanitize-payload resetchannels -@all',
    ...ROLES.map((role) => {
      const may = role === 'admin' ? ADMIN : `resetchannels ${CHANNELS[role]} ${KEYS[role].join(' ')} ${COMMANDS}`;
      return `user ${role} on sanitize-payload ${hashes(role)} ${may}`;
    }),
  ];
}

type Speaker = Exclude<Role, 'admin'>;
/** Who sends an event, and who hears it. Every process says that it lives, and leaves. */
const EVENTS: Record<ControlTopic, { from: readonly Speaker[]; to: readonly Speaker[] }> = {
  'tasks.queued': { from: ['api', 'dispatcher', 'monitor'], to: ['dispatcher'] },
  'tasks.settled': { from: ['dispatcher', 'monitor'], to: ['api'] },
  'tasks.cancelled': { from: ['api'], to: ['dispatcher'] },
  'task.follow': { from: ['api'], to: ['dispatcher'] },
  'task.output': { from: ['dispatcher'], to: ['api'] },
  'worker.heartbeats': { from: ['dispatcher'], to: ['monitor'] },
  'worker.lost': { from: ['monitor'], to: ['dispatcher'] },
  'worker.drain': { from: ['api'], to: ['dispatcher'] },
  'dispatcher.drain': { from: ['api'], to: ['dispatcher'] },
  'metrics.asked': { from: ['api'], to: ['api', 'dispatcher', 'monitor'] },
  'metrics.report': { from: ['api', 'dispatcher', 'monitor'], to: ['api'] },
  'component.heartbeat': { from: ['api', 'dispatcher', 'monitor'], to: ['api', 'dispatcher', 'monitor'] },
  'component.stopped': { from: ['api', 'dispatcher', 'monitor'], to: ['api', 'dispatcher', 'monitor'] },
};

/** The users of NATS as a part of its configuration: by public key, each with the subjects it may send and hear. */
export function natsUsers({ nats }: Credentials, now: Date): string {
  const subjects = (role: Role, way: 'from' | 'to'): string => {
    if (role === 'admin') return `"${SUBJECT_PREFIX}>"`;
    const topics = CONTROL_TOPICS.filter((topic) => EVENTS[topic][way].includes(role));
    return topics.map((topic) => `"${SUBJECT_PREFIX}${topic}"`).join(', ');
  };
  const users = ROLES.flatMap((role) =>
    inUse(nats[role], now).map(({ secret }) => {
      const key = NKEYS.fromSeed(new TextEncoder().encode(secret)).getPublicKey();
      const may = `publish: { allow: [${subjects(role, 'from')}] }, subscribe: { allow: [${subjects(role, 'to')}] }`;
      return `    { nkey: ${key}, permissions: { ${may} } } # ${role}`;
    }),
  );
  return `authorization {\n  timeout: 5\n  users: [\n${users.join('\n')}\n  ]\n}\n`;
}

/** When the next secret retires, so that the servers have to be told. */
export function nextRetirement({ redis, nats }: Credentials, now: Date): Date | undefined {
  const times = [redis, nats]
    .flatMap((server) => ROLES.flatMap((role) => server[role]))
    .flatMap(({ retires }) => (retires === undefined ? [] : [Date.parse(retires)]))
    .filter((time) => time > now.getTime());
  return times.length === 0 ? undefined : new Date(Math.min(...times));
}

function inUse<T extends { retires?: string }>(secrets: readonly T[], now: Date): T[] {
  return secrets.filter(({ retires }) => retires === undefined || Date.parse(retires) > now.getTime());
}

const noSecrets = (): Credentials['redis'] => ({ api: [], dispatcher: [], monitor: [], admin: [] });
