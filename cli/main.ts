#!/usr/bin/env node
/**
 * The executable `mpcsfaas`: one command per actor, `up` and `demo` for all of them, and in `client/` the commands for people who use a
 * platform. Options say the same as variables, and win. A command's module is loaded when it is called, so that a worker carries no web server.
 */
import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { type Config, type Environment, parseConfig, SANDBOXES } from '../bus/config.js';
import type { Role } from '../bus/config/security.js';
import { addClientCommands } from './client/commands.js';
import { CommandError, EXIT } from './client/platformApi.js';
import { environment } from './environment.js';
import { addKeyCommands, addTenantCommands } from './keyCommands.js';
import { addSecurityCommands, type ConfigOptions } from './security/commands.js';
import { CONFIG_VARIABLE } from './security/configFile.js';
import { requireSafePosture } from './security/posture.js';
import { forRole } from './security/roles.js';
import { requireOwnName, tokenSource } from './security/workerToken.js';
import { explain, StartError } from './startError.js';

const EXIT_FAILED = 1;

/** What every command that starts something of the platform takes. */
interface StartOptions extends ConfigOptions {
  host?: string;
}

interface WorkerOptions extends StartOptions {
  tokenFile?: string;
  maxMemory?: string;
  sandbox?: string;
  sandboxUser?: string;
  sandboxNetwork?: boolean;
  sandboxRead: string[];
  env: string[];
  pythonpath: string[];
  python?: string;
  label: string[];
  name?: string;
}

interface DispatcherOptions extends StartOptions {
  mode?: string;
  port?: string;
  workers?: string;
}

const program = new Command('mpcsfaas')
  .description('Self-hosted Function-as-a-Service for Python functions.')
  .showHelpAfterError()
  .helpCommand(false)
  .exitOverride();

/** A command that starts something of the platform, from a deployment's file if there is one. */
function starting(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--config <file>', 'what `mpcsfaas init` has made; also MPCSFAAS_CONFIG')
    .option('--insecure', 'open to the network without keys and credentials all the same');
}

starting('up', 'start a whole platform on this machine, until Ctrl-C')
  .option('--host <address>', 'where the API listens')
  .action(async (options: StartOptions) => {
    const [config, env] = configured({ API_HOST: options.host }, options);
    requireSafePosture('up', config);
    await (await import('./up.js')).runUp(config, env);
  });

program
  .command('demo')
  .description('start a platform on free ports, run real work through it, and stop it')
  .action(async () => (await import('./demo.js')).runDemo(...configured()));

starting('api', 'start the HTTP API')
  .option('--host <address>', 'where it listens')
  .action(async (options: StartOptions) => {
    const [config] = configured({ API_HOST: options.host }, options, 'api');
    requireSafePosture('api', config);
    await (await import('./api.js')).runApi(config);
  });

starting('dispatcher', 'start a dispatcher')
  .addOption(new Option('-m, --mode <mode>', 'who runs tasks').choices(['local', 'pull', 'push']))
  .option('-p, --port <port>', 'where workers connect')
  .option('-w, --workers <processes>', 'Python processes, in local mode')
  .option('--host <address>', 'where it listens')
  .action(async ({ mode, port, workers, host, ...options }: DispatcherOptions) => {
    const overrides = { MODE: mode, DISPATCHER_PORT: port, SLOTS: workers, DISPATCHER_HOST: host };
    const [config] = configured(overrides, options, 'dispatcher');
    requireSafePosture('dispatcher', config);
    await (await import('./dispatcher.js')).runDispatcher(config);
  });

for (const mode of ['push', 'pull'] as const) {
  workerOptions(starting(`${mode}_worker`, `start a worker for a dispatcher in ${mode} mode`))
    .argument('<processes>', 'Python processes, so tasks at once')
    .argument('<url>', 'where the dispatcher is: tcp://host:port')
    .action((processes: string, url: string, options: WorkerOptions) => startWorker({ mode, processes, url }, options));
}

workerOptions(starting('worker', 'start a worker with the token that `mpcsfaas worker-token` has made'))
  .argument('[processes]', 'Python processes, so tasks at once; default: the number of cores')
  .action((processes: string | undefined, options: WorkerOptions) => startWorker({ processes }, options));

function workerOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--pythonpath <directory>', 'where functions may import from; repeatable')
        .argParser(collect)
        .default([], 'none'),
    )
    .option('--python <command>', 'the Python (with dill) that runs functions')
    .addOption(
      new Option('--label <label>', 'what it is fit for: tasks can ask for labels; repeatable')
        .argParser(collect)
        .default([], 'none'),
    )
    .option('--name <name>', 'what the worker is called; with a token its name, or that with a dot and more')
    .option('--max-memory <size>', 'address space of each Python process, such as 512M or 2G')
    .addOption(new Option('--sandbox <kind>', 'how far functions are kept from this machine').choices(SANDBOXES))
    .option('--sandbox-user <user>', 'whom functions run as, for a worker that runs as root')
    .option('--sandbox-network', 'let functions in bubblewrap use the network')
    .addOption(
      new Option('--sandbox-read <path>', 'what functions in bubblewrap may read besides; repeatable')
        .argParser(collect)
        .default([], 'none'),
    )
    .addOption(
      new Option('--env <NAME[=value]>', 'a variable that functions see; repeatable')
        .argParser(collect)
        .default([], 'none'),
    )
    .option('--token-file <file>', 'a file with the token; also WORKER_TOKEN');
}

interface Wanted {
  mode?: 'push' | 'pull';
  processes: string | undefined;
  url?: string;
}

async function startWorker({ mode, processes, url }: Wanted, options: WorkerOptions): Promise<void> {
  const { pythonpath, python, label, name, maxMemory, tokenFile, config: file, insecure } = options;
  const searched = [...pythonpath, ...(environment()['PYTHONPATH'] ?? '').split(':')].filter((path) => path !== '');
  const overrides = {
    SLOTS: processes,
    DISPATCHER_URL: url,
    PYTHONPATH: searched.join(':'),
    MAX_MEMORY: maxMemory,
    ...sandboxVariables(options),
    ...(tokenFile !== undefined && { WORKER_TOKEN_FILE: resolve(tokenFile), WORKER_TOKEN: '' }),
    ...(python !== undefined && { PYTHON: python }),
    ...(label.length > 0 && { WORKER_LABELS: label.join(',') }),
  };
  const [config] = configured(overrides, {
    ...(file !== undefined && { config: file }),
    ...(insecure !== undefined && { insecure }),
  });
  const currentToken = tokenSource(config);
  const token = currentToken?.();
  if (!token && url === undefined)
    throw new StartError(
      'There is no token: give one with --token-file or WORKER_TOKEN, or start the worker with push_worker or pull_worker.',
    );
  requireOwnName(name, token);
  await (
    await import('./worker.js')
  ).runWorker(config, {
    mode: mode ?? token?.mode ?? 'push',
    url: url === undefined ? (token?.url ?? '') : config.dispatcherUrl,
    ...(name !== undefined && { name }),
    ...(currentToken && { token: currentToken }),
  });
}

starting('monitor', 'start a heartbeat monitor').action(async (options: StartOptions) => {
  await (await import('./monitor.js')).runMonitor(configured({}, options, 'monitor')[0]);
});

starting('redis', 'start a redis-server with the settings of the platform, on the port of REDIS_URL').action(
  async (options: StartOptions) => {
    await (await import('./server.js')).runRedis(...configured({}, options));
  },
);

starting('nats', 'start a nats-server with the settings of the platform, on the port of NATS_URL').action(
  async (options: StartOptions) => {
    await (await import('./server.js')).runNats(...configured({}, options));
  },
);

addSecurityCommands(program, configured);
addKeyCommands(program, () => configured({}, {}, 'admin'));
addTenantCommands(program, () => configured({}, {}, 'admin'));

/** The configuration, as the role sees it when the command is that of an actor; and the variables it was made of. */
function configured(overrides: Environment = {}, options: StartOptions = {}, role?: Role): [Config, Environment] {
  const { config: file, insecure } = options;
  const env = environment({
    ...overrides,
    ...(file !== undefined && { [CONFIG_VARIABLE]: resolve(file) }),
    ...(insecure === true && { INSECURE: '1' }),
  });
  return [parseConfig(role === undefined ? env : forRole(env, role)), env];
}

function sandboxVariables({ sandbox, sandboxUser, sandboxNetwork, sandboxRead, env }: WorkerOptions): Environment {
  return {
    SANDBOX: sandbox,
    SANDBOX_USER: sandboxUser,
    SANDBOX_NETWORK: sandboxNetwork === true ? '1' : undefined,
    ...(sandboxRead.length > 0 && { SANDBOX_READ: sandboxRead.join(':') }),
    // A value may hold a comma; a line end at the end tells that they are the separators.
    ...(env.length > 0 && { WORKER_ENV: `${env.join('\n')}\n` }),
  };
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

/** A process that was started by `up` ends with it, however `up` ended: as if told to stop. */
function stopWithParent(): void {
  if (process.channel === undefined) return;
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  // Waiting for that alone is no reason to live on.
  process.channel.unref();
}

function fail(error: unknown): void {
  if (error instanceof CommanderError) {
    // It has said what is wrong, or shown its help.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage;
    return;
  }
  if (error instanceof CommandError) {
    process.exitCode = error.exitCode;
    process.stderr.write(`mpcsfaas: ${error.message}\n`);
    return;
  }
  const message = explain(error);
  process.exitCode = EXIT_FAILED;
  process.stderr.write(`mpcsfaas: ${message}\n`);
  if (process.connected) process.send?.({ type: 'failed', message });
}

stopWithParent();
try {
  addClientCommands(program, environment());
  await program.parseAsync();
} catch (error) {
  fail(error);
}
