import type { Command } from 'commander';
import type { Config, Environment } from '../../bus/config.js';
import type { InitCommand } from './initCommand.js';

/** What every command that works with a deployment takes. */
export interface ConfigOptions {
  config?: string;
  insecure?: boolean;
}

export type Configure = (overrides?: Environment, options?: ConfigOptions) => [Config, Environment];

/** `init`, and what looks after the keys it has made. */
export function addSecurityCommands(program: Command, configured: Configure): void {
  program
    .command('init')
    .description('make a deployment: keys, certificates, credentials and one file that names them')
    .argument('[directory]', 'where; what is there already is left alone', 'mpcsfaas-deployment')
    .option('--host <name>', 'opens it to other machines, which reach this one by this name or address')
    .option('--api-port <port>', 'where the API listens', '8000')
    .option('--dispatcher-port <port>', 'where workers connect; the next port is used when its key is changed', '5555')
    .option('--mode <mode>', 'push, pull or local', 'push')
    .action(async (directory: string, options: InitCommand) => {
      (await import('./initCommand.js')).init(directory, options);
    });

  const onDeployment = (name: string, description: string): Command =>
    program.command(name).description(description).option('--config <file>', 'of the deployment; also MPCSFAAS_CONFIG');

  onDeployment('worker-token', 'let one more worker machine in: prints all it needs, in one string, this once')
    .argument('<name>', 'what the worker is called')
    .option('--days <days>', 'how long it is good for', '365')
    .action(async (name: string, { days, ...options }: ConfigOptions & { days: string }) => {
      (await import('./workerCommands.js')).workerToken(configured({}, options)[0], name, days);
    });

  onDeployment('worker-revoke', 'shut a worker out, at once')
    .argument('<name>', 'what the worker is called')
    .action(async (name: string, options: ConfigOptions) => {
      (await import('./workerCommands.js')).revokeWorker(configured({}, options)[0], name);
    });

  onDeployment('rotate', 'make new keys, credentials and certificates; the old ones are good for a while')
    .option('--overlap <duration>', 'for how long, such as 12h or 7d', '7d')
    .action(async ({ overlap, ...options }: ConfigOptions & { overlap: string }) => {
      (await import('./rotate.js')).rotate(configured({}, options)[0], overlap);
    });

  onDeployment('redis-acl', 'print the commands that give a Redis of your own the users of this deployment').action(
    async (options: ConfigOptions) => {
      (await import('./serverCommands.js')).printRedisAcl(configured({}, options)[0]);
    },
  );

  onDeployment('nats-users', 'print the part of the configuration of a NATS of your own that has the users').action(
    async (options: ConfigOptions) => {
      (await import('./serverCommands.js')).printNatsUsers(configured({}, options)[0]);
    },
  );
}
