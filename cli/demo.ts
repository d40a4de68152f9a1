import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, type Environment, parseConfig } from '../bus/config.js';
import { PACKAGE_ROOT } from '../bus/packageRoot.js';
import { Platform } from './platform.js';
import { StartError } from './startError.js';
import { onStopSignals } from './stopSignals.js';

const SCRIPT = join(PACKAGE_ROOT, 'scripts', 'demo.py');

/**
 * Starts a platform of its own on free ports in a temporary directory, runs `scripts/demo.py` against it, and stops it.
 * @throws StartError when anything is not as it should be; the logs are kept then.
 */
export async function runDemo(given: Config, givenEnv: Environment): Promise<void> {
  process.title = 'mpcsfaas demo';
  // A reader of our output that is gone must not end us before the platform is down.
  process.stdout.on('error', () => undefined);
  const directory = mkdtempSync(join(tmpdir(), 'mpcsfaas-demo-'));
  const env = demoEnvironment(givenEnv, directory);
  const config = parseConfig(env);
  const platform = await Platform.prepare({ config, env });
  const interrupted = new AbortController();
  const release = onStopSignals(
    () => {
      interrupted.abort();
      void platform.stop();
    },
    () => {
      platform.kill();
    },
  );
  let succeeded = false;
  try {
    say(`Starting a platform in ${given.mode} mode ...`);
    const startedMs = performance.now();
    if (await platform.start()) {
      say(`Its API is at ${platform.addresses.apiUrl} after ${seconds(performance.now() - startedMs)}.`);
      succeeded = await runScript(config.python, platform.addresses.apiUrl, env, interrupted.signal);
    }
  } finally {
    await platform.stop();
    release();
    if (succeeded) rmSync(directory, { recursive: true });
  }
  const end = await platform.ended;
  if (end.type === 'failed') throw new StartError(`${end.message} The logs are in ${platform.addresses.logDirectory}.`);
  if (interrupted.signal.aborted) throw new StartError('The demo was interrupted; its platform is stopped.');
  if (!succeeded) throw new StartError(`The demo failed. The logs are in ${platform.addresses.logDirectory}.`);
  say('The platform is stopped; nothing of it is left. Your own: make up');
}

/** The variables of a platform that meets no other: its own servers, ports and data; two workers unless told otherwise. */
function demoEnvironment(env: Environment, directory: string): Environment {
  return {
    ...env,
    API_HOST: '',
    API_PORT: '0',
    API_KEYS: '',
    DISPATCHER_PORT: '0',
    REDIS_URL: '',
    NATS_URL: '',
    DATA_DIR: directory,
    WORKERS: env['WORKERS'] ?? '2',
    SLOTS: env['SLOTS'] ?? String(Math.max(1, Math.floor(availableParallelism() / 2))),
  };
}

function runScript(python: string, apiUrl: string, env: Environment, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(python, [SCRIPT, apiUrl, PACKAGE_ROOT], { env, stdio: 'inherit' });
    signal.addEventListener('abort', () => child.kill());
    child.once('error', reject);
    child.once('exit', (code) => {
      resolve(code === 0);
    });
  });
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
