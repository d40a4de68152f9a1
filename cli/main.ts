#!/usr/bin/env node
/**
 * The executable `mpcsfaas`: one command per actor, `up` and `demo` for all of them, and in `client/` the commands for people who use a
 * platform. Options say the same as variables, and win. A command's module is loaded when it is called, so that a worker carries no web server.
 */
import { Command, CommanderError, Option } from 'commander';
import { type Config, type Environment, parseConfig, SANDBOXES } from '../bus/config.js';
import { addClientCommands } from './client/commands.js';
import { CommandError, EXIT } from './client/platformApi.js';
import { environment } from './environment.js';
import { addKeyCommands } from './keyCommands.js';
import { explain } from './startError.js';

const EXIT_FAILED = 1;

interface WorkerOptions {
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

interface DispatcherOptions {
  mode?: string;
  port?: string;
  workers?: string;
}

const program = new Command('mpcsfaas')
  .description('Self-hosted Function-as-a-Service for Python functions.')
  .showHelpAfterError()
  .helpCommand(false)
  .exitOverride();

program
  .command('up')
  .description('start a whole platform on this machine, until Ctrl-C')
  .action(async () => (await import('./up.js')).runUp(...configured()));

program
  .command('demo')
  .description('start a platform on free ports, run real work through it, and stop it')
  .action(async () => (await import('./demo.js')).runDemo(...configured()));

program
  .command('api')
  .description('start the HTTP API')
  .action(async () => (await import('./api.js')).runApi(configured()[0]));

program
  .command('dispatcher')
  .description('start a dispatcher')
  .addOption(new Option('-m, --mode <mode>', 'who runs tasks').choices(['local', 'pull', 'push']))
  .option('-p, --port <port>', 'where workers connect')
  .option('-w, --workers <processes>', 'Python processes, in local mode')
  .action(async ({ mode, port, workers }: DispatcherOptions) => {
    const [config] = configured({ MODE: mode, DISPATCHER_PORT: port, SLOTS: workers });
    await (await import('./dispatcher.js')).runDispatcher(config);
  });

for (const mode of ['push', 'pull'] as const) {
  program
    .command(`${mode}_worker`)
    .description(`start a worker for a dispatcher in ${mode} mode`)
    .argument('<processes>', 'Python processes, so tasks at once')
    .argument('<url>', 'where the dispatcher is: tcp://host:port')
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
    .option('--name <name>', 'what the worker is called')
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
    .action(async (processes: string, url: string, options: WorkerOptions) => {
      const { pythonpath, python, label, name, maxMemory } = options;
      const searched = [...pythonpath, ...(environment()['PYTHONPATH'] ?? '').split(':')].filter((path) => path !== '');
      const [config] = configured({
        SLOTS: processes,
        DISPATCHER_URL: url,
        PYTHONPATH: searched.join(':'),
        MAX_MEMORY: maxMemory,
        ...sandboxVariables(options),
        ...(python !== undefined && { PYTHON: python }),
        ...(label.length > 0 && { WORKER_LABELS: label.join(',') }),
      });
      const worker = { mode, url: config.dispatcherUrl, ...(name === undefined ? {} : { name }) };
      await (await import('./worker.js')).runWorker(config, worker);
    });
}

program
  .command('monitor')
  .description('start a heartbeat monitor')
  .action(async () => (await import('./monitor.js')).runMonitor(configured()[0]));

program
  .command('redis')
  .description('start a redis-server with the settings of the platform, on the port of REDIS_URL')
  .action(async () => (await import('./server.js')).runRedis(...configured()));

program
  .command('nats')
  .description('start a nats-server with the settings of the platform, on the port of NATS_URL')
  .action(async () => (await import('./server.js')).runNats(...configured()));

addKeyCommands(program, configured);
addClientCommands(program, environment());

function configured(overrides: Environment = {}): [Config, Environment] {
  const env = environment(overrides);
  return [parseConfig(env), env];
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
await program.parseAsync().catch(fail);
