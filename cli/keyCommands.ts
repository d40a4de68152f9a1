import type { Command } from 'commander';
import { SCOPES } from '../bus/apiKeys.js';
import { DEFAULT_TENANT } from '../bus/tenants.js';
import type { Config, Environment } from '../bus/config.js';
import type { CreateOptions } from './keys.js';
import type { SetOptions } from './tenants.js';

const collect = (value: string, previous: readonly string[]): string[] => [...previous, value];

/** `mpcsfaas key ...`: on Redis itself, for who runs the platform. */
export function addKeyCommands(program: Command, configured: () => [Config, Environment]): void {
  const key = program
    .command('key')
    .description('make, list and revoke API keys, in the Redis of the platform (REDIS_URL)');

  key
    .command('create')
    .description('make a key, and print it, this once')
    .option('--tenant <tenant>', 'whose functions and tasks it sees', DEFAULT_TENANT)
    .requiredOption('--scope <scope>', `what it may do: ${SCOPES.join(', ')}; repeatable`, collect, [])
    .option('--expires <duration>', 'when it stops being valid, such as 12h or 30d; without it never')
    .option('--name <name>', 'for people', '')
    .option('--out <file>', 'write it into a new file that you alone can read')
    .option('--json', 'an object for programs')
    .action(async (options: CreateOptions) => (await import('./keys.js')).createKey(...configured(), options));

  key
    .command('list')
    .description('all keys, oldest first; what is listed cannot be used as one')
    .option('--json', 'objects for programs, one per line')
    .action(async (options: { json?: boolean }) => (await import('./keys.js')).listKeys(...configured(), options));

  key
    .command('revoke')
    .description('have every API refuse a key from now on')
    .argument('<id...>', 'ids of keys, as `key list` has them')
    .option('--json', 'objects for programs, one per line')
    .action(async (ids: string[], options: { json?: boolean }) =>
      (await import('./keys.js')).revokeKeys(...configured(), ids, options),
    );
}

/** `mpcsfaas tenant ...`: on Redis itself, as keys. */
export function addTenantCommands(program: Command, configured: () => [Config, Environment]): void {
  const tenant = program
    .command('tenant')
    .description('list tenants and set their limits, in the Redis of the platform (REDIS_URL)');

  tenant
    .command('list')
    .description('tenants, what they have queued, running and kept, and limits of their own')
    .option('--json', 'objects for programs, one per line')
    .action(async (options: { json?: boolean }) =>
      (await import('./tenants.js')).listTenants(...configured(), options),
    );

  tenant
    .command('set')
    .description('set limits of a tenant, from now on; what is not named stays, 0 is no limit')
    .argument('<tenant>', 'name, as its keys have it')
    .option('--max-queued <tasks>', 'tasks that wait, also for a time or for other tasks')
    .option('--max-queued-bytes <bytes>', 'of the arguments of tasks that wait')
    .option('--max-running <tasks>', 'tasks that run at once')
    .option('--max-retained-bytes <bytes>', 'that finished tasks keep; over it the oldest expire')
    .option('--json', 'an object for programs')
    .action(async (name: string, options: SetOptions) =>
      (await import('./tenants.js')).setLimits(...configured(), name, options),
    );
}
