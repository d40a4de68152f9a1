import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, closeSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { MAIN } from '../../cli/actorProcess.js';
import { freePort } from '../../cli/freePort.js';
import { PYTHON } from '../../specs/support/python.js';
import { type Processes, processTree } from './processes.js';

const READY_MS = 60_000;
const READY_POLL_MS = 100;
/** Beyond what `up` gives its children. */
const STOP_MS = 40_000;

/** A platform as `mpcsfaas init` and `mpcsfaas up` make it: keys asked for, CURVE towards workers, users for Redis and NATS. */
export interface SecuredPlatform {
  readonly apiUrl: string;
  readonly apiKey: string;
  processes(): Processes;
  stop(): Promise<void>;
}

/** With one worker of two Python processes, as other beds. @throws when it does not come up */
export async function startSecuredPlatform(): Promise<SecuredPlatform> {
  const directory = mkdtempSync(join(tmpdir(), 'secured-'));
  const deployment = join(directory, 'deployment');
  const [apiPort, dispatcherPort] = [await freePort(), await freePort()];
  const ports = ['--api-port', String(apiPort), '--dispatcher-port', String(dispatcherPort)];
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, 'init', deployment, ...ports]);
  const log = openSync(join(directory, 'up.log'), 'w');
  const up = spawn(process.execPath, [MAIN, 'up', '--config', join(deployment, 'mpcsfaas.env')], {
    env: { ...process.env, PYTHON, WORKERS: '1', SLOTS: '2' },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const exited = once(up, 'exit');
  const stop = async (): Promise<void> => {
    up.kill('SIGTERM');
    if (up.exitCode === null) await Promise.race([exited, sleep(STOP_MS, undefined, { ref: false })]);
    rmSync(directory, { recursive: true, force: true });
  };
  const apiUrl = `http://127.0.0.1:${apiPort}`;
  try {
    await untilReady(apiUrl, () => up.exitCode === null);
  } catch (error) {
    await stop();
    throw error;
  }
  const processes = (): Processes => new Map([['platform', processTree(up.pid ?? 0)]]);
  return { apiUrl, apiKey: stdout.trim(), processes, stop };
}

async function untilReady(apiUrl: string, runs: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + READY_MS;
  while (performance.now() < deadlineMs && runs()) {
    const answer = await fetch(`${apiUrl}/health/ready`).catch(() => undefined);
    if (answer?.ok === true) return;
    await sleep(READY_POLL_MS);
  }
  throw new Error('The secured platform did not come up.');
}
