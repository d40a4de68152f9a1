import type { Config } from '../../bus/config.js';
import { StartError } from '../startError.js';
import { type Credentials, natsUsers, readCredentials, redisUsers } from './credentials.js';

/** Commands for redis-cli; with hashes in place of passwords, so that they may be shown. */
export function printRedisAcl(config: Config): void {
  for (const user of redisUsers(credentialsOf(config), new Date())) {
    process.stdout.write(`ACL SETUSER ${user.replace(/^user /, '').replace(/^(\S+) /, '$1 reset ')}\n`);
  }
  process.stderr.write(
    'The first line shuts out whoever names no user: give it last if you are one. Then CONFIG REWRITE or ACL SAVE.\n',
  );
}

/** With public keys alone, so that it may be shown. */
export function printNatsUsers(config: Config): void {
  process.stdout.write(natsUsers(credentialsOf(config), new Date()));
}

function credentialsOf({ credentials }: Config): Credentials {
  if (credentials !== undefined) return readCredentials(credentials);
  throw new StartError('Which deployment? Name its file with --config or MPCSFAAS_CONFIG; `mpcsfaas init` makes one.');
}
