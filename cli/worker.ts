import { randomUUID } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { systemClock } from '../actors/clock.js';
import { WorkerSupervisor } from '../actors/workerSupervisor.js';
import type { Bus } from '../bus/bus.js';
import { dispatcherCodec, workerCodec } from '../bus/codec.js';
import type { Config } from '../bus/config.js';
import type { DispatcherMessage, WorkerMessage, WorkerUsage } from '../bus/messages.js';
import { PullRequestBus } from '../bus/zeromq/pullBus.js';
import { PushDealerBus } from '../bus/zeromq/pushBus.js';
import { PythonPool } from '../workers/pythonPool.js';
import type { SandboxOptions } from '../workers/sandbox/sandboxOptions.js';
import type { WorkerSecurity } from '../bus/zeromq/security/routerSecurity.js';
import { BoundedNotices } from './security/boundedNotices.js';
import { warnBeforeExpiry } from './security/expiry.js';
import { isLoopback } from './security/posture.js';
import type { WorkerToken } from './security/workerToken.js';
import { StartError } from './startError.js';
import { type Component, runComponent } from './component.js';
import { processUsage } from './processUsage.js';

export interface WorkerCommand {
  mode: 'push' | 'pull';
  url: string;
  /** Default: the name in the token; without one the machine's name and the process id. */
  name?: string;
  /** Who this worker is, and whom it trusts, at the moment; without it the wire is plain. */
  token?: () => WorkerToken;
}

/** The worker process: a supervisor and its Python processes. It speaks to a dispatcher and to nobody else. */
export function runWorker(config: Config, { mode, url, name, token }: WorkerCommand): Promise<void> {
  const first = token?.();
  requireTrust(config, url, first);
  const serve = async (component: Component): ReturnType<Parameters<typeof runComponent>[2]> => {
    const refusals = new BoundedNotices((why) => component.log.warn(`not let in by the dispatcher: ${why}`));
    const options = { incoming: dispatcherCodec, outgoing: workerCodec, onError: component.onError };
    /** A token file that is being replaced, or is gone, leaves the worker with what it had. */
    function tokenNow(before: WorkerToken): WorkerToken {
      try {
        return token?.() ?? before;
      } catch (error) {
        refusals.notice(String(error));
        return before;
      }
    }
    const stopWarning =
      first &&
      warnBeforeExpiry(component.log, () => [{ what: 'the token of this worker', at: tokenNow(first).expires }]);
    const supervisor = createSupervisor(component, config, {
      urls: [url],
      connect: (to) => {
        const now = first && tokenNow(first);
        // A new token may name a new port.
        const place = to === url && now && now.url !== first.url ? now.url : to;
        const wire = { ...options, url: place, ...(now && { security: securityOf(now, refusals) }) };
        return mode === 'pull'
          ? new PullRequestBus({ ...wire, isWork: ({ type }) => type === 'run' })
          : new PushDealerBus(wire);
      },
      usage: processUsage(),
    });
    await supervisor.start();
    return {
      drain: async (graceMs) => {
        stopWarning?.();
        await supervisor.drain(graceMs);
        refusals.stop();
      },
    };
  };
  return runComponent('worker', config, serve, name ?? first?.name);
}

function securityOf(token: WorkerToken, refusals: BoundedNotices): WorkerSecurity {
  return {
    serverKey: token.serverKey,
    keys: token,
    onRefused: (why) => {
      refusals.notice(`${why}. Its token may be revoked or expired, or be for another dispatcher.`);
    },
  };
}

/** A worker runs what it is sent: it must know by whom. @throws StartError */
function requireTrust(config: Config, url: string, token: WorkerToken | undefined): void {
  if (token !== undefined) {
    if (Date.parse(token.expires) > Date.now()) return;
    throw new StartError(
      `The worker token of "${token.name}" expired at ${token.expires}: make a new one with \`mpcsfaas worker-token ${token.name}\`.`,
    );
  }
  if (config.insecure || isLoopback(new URL(url.replace(/^tcp:/, 'http:')).hostname)) return;
  throw new StartError(
    `The dispatcher ${url} is on another machine, and without a token this worker would run whatever comes from there, unencrypted. ` +
      'Make a token there with `mpcsfaas worker-token NAME` and give it as WORKER_TOKEN or with --token-file; or, in a network where you trust everybody, say `--insecure` (INSECURE=1).',
  );
}

function sandboxOptions(config: Config): SandboxOptions {
  const { maxOpenFiles, maxFileBytes, maxProcesses, maxCpuSeconds } = config;
  return {
    ...{ maxOpenFiles, maxFileBytes, maxProcesses, maxCpuSeconds },
    kind: config.sandbox,
    ...(config.sandboxUser !== undefined && { user: config.sandboxUser }),
    environment: config.workerEnvironment,
    network: config.sandboxNetwork,
    readable: config.sandboxReadable,
    hidden: secretPaths(config),
    temporaryBytes: config.sandboxTemporaryBytes,
  };
}

/** What functions must not read, though it may lie in the worker's directory: the platform's data, and the files of its deployment. */
function secretPaths(config: Config): string[] {
  const { workerTokenFile, dispatcherKeys, workerKeys, configFile } = config;
  const files = [workerTokenFile, dispatcherKeys, workerKeys, configFile].flatMap((file) =>
    file === undefined || file === '' ? [] : [resolve(file)],
  );
  // Of a folder in which the worker itself was started only the files are hidden.
  const folders = files.map((file) => dirname(file)).filter((folder) => !`${process.cwd()}/`.startsWith(`${folder}/`));
  return [config.dataDir, ...files, ...folders];
}

export interface Wire {
  urls: string[];
  connect: (url: string) => Bus<DispatcherMessage, WorkerMessage>;
  usage?: () => WorkerUsage;
}

/** A supervisor over a pool of Python processes, for a worker process or for a dispatcher in local mode. */
export function createSupervisor(
  component: Component,
  config: Config,
  { urls, connect, usage }: Wire,
): WorkerSupervisor {
  const { log, onError } = component;
  const dispatcher = component.dependency('dispatcher');
  const pool = new PythonPool({
    python: config.python,
    slots: config.slots,
    pythonPath: [...config.pythonPath],
    maxOutputBytes: config.maxOutputBytes,
    maxResultBytes: config.maxResultBytes,
    maxMemoryBytes: config.maxMemoryBytes,
    sandbox: sandboxOptions(config),
    onProcessEvent: (told) => {
      if (told.type === 'weakened') {
        log.warn(told.message);
        return;
      }
      const { type, ...event } = told;
      const unexpected = type === 'startFailed' || ('reason' in event && ['itself', 'corrupt'].includes(event.reason));
      log[unexpected ? 'warn' : 'debug'](event, `python process ${type}`);
    },
  });
  let wasAway = false;
  return new WorkerSupervisor(
    {
      name: component.id,
      instance: randomUUID(),
      pid: process.pid,
      heartbeatMs: config.heartbeatMs,
      labels: config.workerLabels,
      sandbox: config.sandbox,
      urls,
    },
    {
      pool,
      connect,
      clock: systemClock,
      ...(usage && { usage }),
      onError,
      onConnected: (connected, url) => {
        if (!connected) dispatcher.lost(`no answer from ${url}`);
        else if (wasAway) dispatcher.restored();
        else log.info({ url, slots: config.slots }, 'joined');
        wasAway = !connected;
      },
      onDrainRequested: () => {
        component.requestStop();
      },
    },
  );
}
