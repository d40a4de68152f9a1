import { resolve } from 'node:path';
import type { SystemEvent } from '../actors/system.js';
import type { Config, Environment } from '../bus/config.js';
import { LogTail } from './logTail.js';
import { Platform, type PlatformAddresses } from './platform.js';
import { StartError } from './startError.js';
import { onStopSignals } from './stopSignals.js';
import { Terminal } from './terminal.js';

/** Exit code of a process that was told twice to stop, as shells have it for Ctrl-C. */
const EXIT_INTERRUPTED = 130;

/**
 * Runs a whole platform in the foreground until it is told to stop, and shows what its actors log.
 * @throws StartError, PlatformError when it cannot start, or when an actor keeps failing; then nothing is left running.
 */
export async function runUp(config: Config, env: Environment): Promise<void> {
  process.title = `mpcsfaas up ${config.apiPort}`;
  // A terminal that is gone must not end us before the children are down.
  process.stdout.on('error', () => undefined);
  const terminal = new Terminal(config.logFormat ?? 'pretty', env);
  const tail = new LogTail((name, line) => {
    terminal.childLine(name, line);
  });
  const platform = await Platform.prepare({
    config,
    env,
    onLogFile: (name, path) => {
      tail.follow(name, path);
    },
    onEvent: (event) => {
      const text = describe(event);
      if (text !== undefined) terminal.say(text);
    },
  });
  const release = onStopSignals(
    () => {
      terminal.say('stopping: running tasks may finish; once more to stop at once');
      void platform.stop();
    },
    () => {
      // What they ran is run again at the next start.
      platform.kill();
      process.exitCode = EXIT_INTERRUPTED;
    },
  );
  try {
    if (await platform.start()) terminal.banner(banner(config, platform.addresses));
    const end = await platform.ended;
    if (end.type === 'failed') throw new StartError(end.message);
  } finally {
    await platform.stop();
    tail.stop();
    release();
  }
  terminal.say('stopped');
}

function describe(event: SystemEvent): string | undefined {
  switch (event.type) {
    case 'childStarted':
      return `${event.child} is up`;
    case 'childExited':
      return `${event.child} ended (${event.how})`;
    case 'childLeft':
      return `${event.child} was drained and has left; it is not started again`;
    case 'childRestarting':
      return `${event.child} starts again in ${event.delayMs} ms`;
    case 'stopFailed':
      return `${event.child} did not stop in order: ${event.why}`;
    default:
      return event satisfies never;
  }
}

function banner(config: Config, addresses: PlatformAddresses): string[] {
  const workers =
    config.mode === 'local'
      ? `${config.slots} Python processes in the dispatcher`
      : `${config.workers} worker(s) with ${config.slots} Python processes each`;
  const oneMore = `mpcsfaas ${config.mode}_worker ${config.slots} ${addresses.dispatcherUrl}`;
  return [
    `MPCSFaaS is up in ${config.mode} mode: ${workers}. Ctrl-C stops it.`,
    '',
    `  API          ${addresses.apiUrl}`,
    `  Docs         ${addresses.apiUrl}/docs`,
    `  Logs         ${addresses.logDirectory}`,
    ...(config.mode === 'local'
      ? []
      : [`  One more     make worker MODE=${config.mode} DISPATCHER_URL=${addresses.dispatcherUrl}`]),
    ...(config.mode === 'local' ? [] : [`               or ${oneMore}`]),
    '',
    ...(config.apiKeysRequired ? keyAdvice(config) : ['Paste this into another terminal to run a function:']),
    '',
    firstFunction(config.python, addresses.apiUrl, config.apiKeysRequired),
  ];
}

function keyAdvice(config: Config): string[] {
  const where = config.dataDir === resolve('.platform') ? '' : `DATA_DIR=${config.dataDir} `;
  return [
    'It asks for API keys. Paste this into another terminal to make one and run a function:',
    '',
    `export MPCSFAAS_API_KEY=$(${where}mpcsfaas key create --scope submit --scope read)`,
  ];
}

/** One line for a shell that registers a function, runs it and prints its result, with nothing but dill. */
export function firstFunction(python: string, apiUrl: string, withKey = false): string {
  const headers = withKey
    ? '{"content-type":"application/json","authorization":"Bearer "+os.environ["MPCSFAAS_API_KEY"]}'
    : '{"content-type":"application/json"}';
  const script = [
    `import base64,dill,json${withKey ? ',os' : ''},urllib.request as u`,
    `call=lambda p,**b:json.load(u.urlopen(u.Request("${apiUrl}"+p,json.dumps(b).encode() if b else None,${headers})))`,
    'pack=lambda o:base64.b64encode(dill.dumps(o)).decode()',
    'f=call("/register_function",name="square",payload=pack(lambda x:x*x))["function_id"]',
    't=call("/execute_function",function_id=f,payload=pack(((7,),{})))["task_id"]',
    'print("7 squared is",dill.loads(base64.b64decode(call("/result/"+t+"?wait=30")["result"])))',
  ].join(';');
  return `${/^[\w./-]+$/.test(python) ? python : `'${python}'`} -c '${script}'`;
}
