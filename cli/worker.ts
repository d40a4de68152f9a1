import { randomUUID } from 'node:crypto';
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
import { type Component, runComponent } from './component.js';
import { processUsage } from './processUsage.js';

export interface WorkerCommand {
  mode: 'push' | 'pull';
  url: string;
  /** Default: the machine's name and the process id. */
  name?: string;
}

/** The worker process: a supervisor and its Python processes. It speaks to a dispatcher and to nobody else. */
export function runWorker(config: Config, { mode, url, name }: WorkerCommand): Promise<void> {
  const serve = async (component: Component): ReturnType<Parameters<typeof runComponent>[2]> => {
    const options = { incoming: dispatcherCodec, outgoing: workerCodec, onError: component.onError };
    const supervisor = createSupervisor(component, config, {
      urls: [url],
      connect: (to) =>
        mode === 'pull' ? new PullRequestBus({ ...options, url: to }) : new PushDealerBus({ ...options, url: to }),
      usage: processUsage(),
    });
    await supervisor.start();
    return { drain: (graceMs) => supervisor.drain(graceMs) };
  };
  return runComponent('worker', config, serve, name);
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
    hidden: [config.dataDir],
    temporaryBytes: config.sandboxTemporaryBytes,
  };
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
