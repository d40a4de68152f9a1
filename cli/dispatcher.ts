import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { systemClock } from '../actors/clock.js';
import { Dispatcher } from '../actors/dispatcher.js';
import type { WorkerSupervisor } from '../actors/workerSupervisor.js';
import { type Bus, DISPATCHER } from '../bus/bus.js';
import { dispatcherCodec, workerCodec } from '../bus/codec.js';
import type { Config } from '../bus/config.js';
import { MemoryHub } from '../bus/memoryBus.js';
import type { DispatcherMessage, WorkerMessage } from '../bus/messages.js';
import { newNonce } from '../bus/nonce.js';
import { PullRouterBus } from '../bus/zeromq/pullBus.js';
import { PushRouterBus } from '../bus/zeromq/pushBus.js';
import { DispatcherWire } from './security/dispatcherWire.js';
import { type Component, runComponent, type Serving, workerTimings } from './component.js';
import { StartError } from './startError.js';
import { createSupervisor } from './worker.js';

const FUNCTION_CACHE_BYTES = 128 * 1024 * 1024;

/** The dispatcher process; in local mode the worker's supervisor and its Python processes are in it as well. */
export function runDispatcher(config: Config): Promise<void> {
  return runComponent('dispatcher', config, (component) =>
    config.mode === 'local' ? serveLocal(component, config) : serveWorkers(component, config),
  );
}

async function serveWorkers(component: Component, config: Config): Promise<Serving> {
  const wire = securedWire(component, config);
  const router = await bindRouter(component, config, wire);
  const dispatcher = await startDispatcher(component, config, router);
  await wire?.follow(router.routers, (addresses) => {
    dispatcher.table.expel(addresses);
  });
  const address = reachableAddress(router.endpoint);
  component.log.info({ address, mode: config.mode }, 'waiting for workers');
  return {
    address,
    drain: async (graceMs) => {
      await dispatcher.stop(graceMs);
      await wire?.stop();
      await router.close();
    },
  };
}

async function serveLocal(component: Component, config: Config): Promise<Serving> {
  const hub = new MemoryHub(component.onError);
  const dispatcher = await startDispatcher(component, config, hub.endpoint(DISPATCHER));
  const supervisor: WorkerSupervisor = createSupervisor(component, config, {
    urls: ['local'],
    connect: () => hub.endpoint(`w-${randomUUID()}`),
  });
  await supervisor.start();
  return {
    drain: async (graceMs) => {
      await supervisor.drain(graceMs);
      await dispatcher.stop(graceMs);
    },
  };
}

async function startDispatcher(
  component: Component,
  config: Config,
  workers: Bus<WorkerMessage, DispatcherMessage>,
): Promise<Dispatcher> {
  const store = await component.openStore();
  const control = await component.openControl([
    'tasks.queued',
    'tasks.cancelled',
    'task.follow',
    'worker.lost',
    'worker.drain',
    'dispatcher.drain',
    'component.heartbeat',
    'component.stopped',
  ]);
  const { transition, counts, tracer, onError } = component;
  const dispatcher = new Dispatcher(
    {
      id: component.id,
      mode: config.mode,
      heartbeatMs: config.heartbeatMs,
      leaseMs: config.leaseMs,
      pollMs: config.pollMs,
      timings: workerTimings(config),
      functionCacheBytes: FUNCTION_CACHE_BYTES,
    },
    {
      ...{ store, workers, control, clock: systemClock, transition, counts, tracer, onError },
      nonce: newNonce,
      onDrainRequested: () => {
        component.requestStop();
      },
      onRefused: (counts) =>
        component.log.info(counts, 'attempts that had been decided before: refused, or acknowledged again'),
    },
  );
  dispatcher.start();
  component.metrics.add(() => dispatcher.reports.families());
  return dispatcher;
}

type RouterBus = PushRouterBus<WorkerMessage, DispatcherMessage> | PullRouterBus<WorkerMessage, DispatcherMessage>;

function securedWire({ log }: Component, config: Config): DispatcherWire | undefined {
  const { dispatcherKeys, workerKeys, dispatcherHost } = config;
  if (dispatcherKeys === undefined && workerKeys === undefined) return undefined;
  if (dispatcherKeys === undefined || workerKeys === undefined) {
    throw new StartError('DISPATCHER_KEYS and WORKER_KEYS are needed both; `mpcsfaas init` makes them.');
  }
  return new DispatcherWire({ dispatcherKeys, workerKeys }, dispatcherHost, log);
}

async function bindRouter({ onError }: Component, config: Config, wire?: DispatcherWire): Promise<RouterBus> {
  const endpoint = `tcp://${config.dispatcherHost}:${(wire?.port ?? config.dispatcherPort) || '*'}`;
  const options = {
    ...{ incoming: workerCodec, outgoing: dispatcherCodec, onError },
    ...(wire && { security: wire.security }),
  };
  try {
    return await (config.mode === 'pull'
      ? PullRouterBus.bind(endpoint, options)
      : PushRouterBus.bind(endpoint, options));
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new StartError(
      `The dispatcher cannot listen on ${endpoint} (${reason}); choose another port with -p or DISPATCHER_PORT.`,
      { cause },
    );
  }
}

/** Bound to all addresses, it is reached by the machine's name. */
const reachableAddress = (endpoint: string): string => endpoint.replace('://0.0.0.0:', `://${hostname()}:`);
