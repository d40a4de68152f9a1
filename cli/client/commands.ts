import { type Command, Option } from 'commander';
import { readFileSync } from 'node:fs';
import type { Environment } from '../../bus/config.js';
import type { TasksOptions } from './listCommands.js';
import { CommandError, EXIT, PlatformApi } from './platformApi.js';
import type { RunOptions } from './runCommand.js';
import { openScreen, type Screen } from './screen.js';

const DEFAULT_URL = 'http://127.0.0.1:8000';

interface CommonOptions {
  url?: string;
  keyFile?: string;
  json?: boolean;
}

const collect = (value: string, previous: readonly string[]): string[] => [...previous, value];

/** The commands for people who use a platform. They speak HTTP with it and nothing else. */
export function addClientCommands(program: Command, env: Environment): void {
  const command = (words: string, description: string): Command =>
    program
      .command(words)
      .description(description)
      .option('--url <url>', `where the API is (MPCSFAAS_URL, else ${DEFAULT_URL})`)
      .option('--key-file <path>', 'file with the API key, where one is asked for (MPCSFAAS_API_KEY)')
      .option('--json', 'objects for programs, one per line');
  const opened = ({ url, keyFile, json }: CommonOptions): [PlatformApi, Screen] => {
    const given = url ?? env['MPCSFAAS_URL'] ?? '';
    const where = given === '' ? DEFAULT_URL : given;
    if (!/^https?:\/\/\S+$/.test(where))
      throw new CommandError(`${where} is not a URL such as ${DEFAULT_URL}.`, EXIT.usage);
    return [new PlatformApi(where.replace(/\/+$/, ''), apiKey(env, keyFile)), openScreen(json === true, env)];
  };

  command('status', 'how the platform stands').action(async (options: CommonOptions) =>
    (await import('./overviewCommands.js')).showStatus(...opened(options)),
  );

  command('top', 'how the platform stands, live, until Ctrl-C')
    .option('--interval <seconds>', 'between two looks', '1')
    .option('--count <n>', 'looks; without it there is no end')
    .option('--once', 'look once, as --count 1 does')
    .action(async (options: CommonOptions & { interval: string; count?: string; once?: boolean }) =>
      (await import('./overviewCommands.js')).showTop(...opened(options), options),
    );

  command('run', 'run a function of a file, and print what it returned')
    .argument('<file.py:function>', 'which one')
    .option('--args <list>', 'arguments, as JSON or a Python literal', '[]')
    .option('--kwargs <object>', 'arguments by name, as JSON or a Python literal', '{}')
    .option('--python <path>', 'Python with dill that packs and unpacks (PYTHON)')
    .option('--no-wait', 'print the id of the task and leave')
    .option('--timeout <seconds>', 'longest run time')
    .option('--retries <n>', 'tries after an exception')
    .addOption(new Option('--priority <priority>', 'who goes first').choices(['high', 'normal', 'low']))
    .addOption(
      new Option('--label <label>', 'only on workers with it; repeatable').argParser(collect).default([], 'none'),
    )
    .option('--fresh', 'in a process that runs nothing else')
    .action(async (target: string, options: CommonOptions & RunOptions) =>
      (await import('./runCommand.js')).runFunction(...opened(options), target, { ...options, env }),
    );

  command('logs', 'what a task printed')
    .argument('<task>', 'its id')
    .option('-f, --follow', 'stay, and print what comes, until it has ended')
    .action(async (task: string, options: CommonOptions & { follow?: boolean }) =>
      (await import('./logCommands.js')).showLogs(...opened(options), task, options),
    );

  command('explain', 'why a task waits, or failed')
    .argument('<task>', 'its id')
    .action(async (task: string, options: CommonOptions) =>
      (await import('./taskCommands.js')).explainTask(...opened(options), task),
    );

  command('cancel', 'end tasks, running ones too')
    .argument('<task...>', 'their ids')
    .action(async (tasks: string[], options: CommonOptions) =>
      (await import('./listCommands.js')).cancelTasks(...opened(options), tasks),
    );

  command('run-again', 'run failed or cancelled tasks again, as they were')
    .argument('[task...]', 'their ids')
    .option('--failure <type>', 'all that failed so, such as WorkerFailure')
    .option('--function <id>', 'all failed ones of a function')
    .option('--limit <n>', 'most of them')
    .action(
      async (tasks: string[], options: CommonOptions & { failure?: string; function?: string; limit?: string }) => {
        const { failure, function: ofFunction, limit } = options;
        const filter = {
          ...(failure !== undefined && { failure }),
          ...(ofFunction !== undefined && { function: ofFunction }),
          ...(limit !== undefined && { limit }),
        };
        await (await import('./listCommands.js')).runAgain(...opened(options), tasks, filter);
      },
    );

  command('tasks', 'tasks, newest first')
    .option('--status <status>', 'queued, running, completed, failed or cancelled')
    .option('--failure <type>', 'such as UserException, Timeout, WorkerFailure')
    .option('--function <id>', 'of one function')
    .option('--limit <n>', 'most of them', '20')
    .option('--cursor <cursor>', 'where to go on')
    .action(async (options: CommonOptions & TasksOptions) =>
      (await import('./listCommands.js')).listTasks(...opened(options), options),
    );

  command('workers', 'workers, and what they do').action(async (options: CommonOptions) =>
    (await import('./listCommands.js')).listWorkers(...opened(options)),
  );

  command('drain', 'have a worker or dispatcher finish what it runs, and leave')
    .argument('<kind>', 'worker or dispatcher')
    .argument('<name>', 'as `workers` and GET /dispatchers have it')
    .option('--no-wait', 'do not wait until it has left')
    .option('--timeout <seconds>', 'how long to wait', '60')
    .action(async (kind: string, name: string, options: CommonOptions & { wait: boolean; timeout: string }) =>
      (await import('./overviewCommands.js')).drain(...opened(options), kind, name, options),
    );
}

/** From a file or a variable, never from an option: command lines are seen by everybody on the machine. */
function apiKey(env: Environment, file: string | undefined): string | undefined {
  let key = env['MPCSFAAS_API_KEY'] ?? '';
  if (file !== undefined) {
    try {
      key = readFileSync(file, 'utf8');
    } catch (cause) {
      throw new CommandError(`--key-file ${file} cannot be read.`, EXIT.usage, { cause });
    }
  }
  key = key.trim();
  if (key === '') return undefined;
  if (!/^[!-~]+$/.test(key)) {
    throw new CommandError('The API key (--key-file, MPCSFAAS_API_KEY) must be one word such as mpcs_....', EXIT.usage);
  }
  return key;
}
