import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Actor } from 'xstate';
import type { ApiKeyStore } from '../bus/apiKeys.js';
import type { Bus } from '../bus/bus.js';
import type { Config } from '../bus/config.js';
import type { ComponentKind, ControlMessage, ControlTopic } from '../bus/controlMessages.js';
import { PlatformError } from '../bus/errors.js';
import { EventSeal } from '../bus/eventSeal.js';
import type { GroupStore } from '../bus/groupStore.js';
import type { IdempotencyStore } from '../bus/idempotencyStore.js';
import { openLog } from '../bus/log.js';
import { counted, ProcessMetrics } from '../bus/metrics.js';
import { NatsBus } from '../bus/natsBus.js';
import { connectRedis, type DependencyEvents } from '../bus/redis/connection.js';
import { RedisApiKeys } from '../bus/redis/redisApiKeys.js';
import { RedisGroupStore } from '../bus/redis/redisGroupStore.js';
import { RedisTenants } from '../bus/redis/redisTenants.js';
import { RedisTaskLists } from '../bus/redis/redisTaskLists.js';
import { RedisIdempotencyStore } from '../bus/redis/redisIdempotencyStore.js';
import { RedisTaskStore } from '../bus/redis/redisTaskStore.js';
import { keepSealKey } from '../bus/redis/sealKey.js';
import type { TaskLists } from '../bus/taskLists.js';
import type { TaskStore } from '../bus/taskStore.js';
import type { Tracer } from '../bus/tracing.js';
import type { TransitionLog } from '../bus/transitionLog.js';
import { every, systemClock } from '../actors/clock.js';
import { componentMachine } from '../actors/lifecycles/componentMachine.js';
import { runMachine } from '../actors/lifecycles/runMachine.js';
import type { WorkerTimings } from '../actors/lifecycles/workerMachine.js';
import { tuneEngine } from './engine.js';
import { answering, MetricSources } from './metricSources.js';
import type { OtlpTracer } from './otlpTracer.js';
import { natsAccess, redisAccess } from './security/access.js';
import { insecurityWarning, keepWarning } from './security/posture.js';
import { onStopSignals } from './stopSignals.js';

/** How long a component waits for Redis and NATS at its start, before it serves without them. */
const CONNECT_WAIT_MS = 3_000;
const UNWATCHED: DependencyEvents = { lost: () => undefined, restored: () => undefined };
/** Beyond the grace that a component gives itself to drain. */
const CLOSE_MARGIN_MS = 2_000;

/** What a component has served when it is told to stop. */
export interface Serving {
  /** Where others reach it. */
  address?: string;
  /** Takes nothing new, finishes what it has, at most `graceMs`, and lets go of everything. */
  drain(graceMs: number): Promise<void>;
}

/** What every process of the platform has: a name, a log, a lifecycle machine, and the means to say what it misses. */
export interface Component {
  readonly id: string;
  readonly log: Logger;
  /** Counts as well. */
  readonly transition: TransitionLog;
  /** What this process counts. */
  readonly counts: ProcessMetrics;
  /** All that this process has to tell when somebody asks for metrics. */
  readonly metrics: MetricSources;
  /** Undefined when nothing is traced. */
  readonly tracer: Tracer | undefined;
  readonly onError: (error: unknown) => void;
  /** Events for one dependency: they move the machine between running and degraded. */
  dependency(name: string): DependencyEvents;
  isAway(name: string): boolean;
  isDraining(): boolean;
  /** What is open to the network without protection, in words. */
  readonly insecurity: string | undefined;
  /** As if the process had been told to stop. */
  requestStop(): void;
  readonly openStore: () => Promise<RedisTaskStore>;
  /** The store, and what only the API keeps in it, on one connection: what it writes together arrives in order. */
  readonly openApiStores: () => Promise<ApiStores>;
  /** Answers for this process when metrics are asked for. */
  readonly openControl: (topics: readonly ControlTopic[]) => Promise<Bus<ControlMessage, ControlMessage>>;
}

export interface ApiStores {
  store: RedisTaskStore;
  lists: TaskLists;
  groupStore: GroupStore;
  idempotencyStore: IdempotencyStore;
  apiKeys: ApiKeyStore;
}

export const workerTimings = (config: Config): WorkerTimings => ({
  // Half an interval more: a heartbeat that is merely late has not been missed.
  suspectAfterMs: (config.suspectAfterMissed + 0.5) * config.heartbeatMs,
  lostAfterMs: (config.lostAfterMissed + 0.5) * config.heartbeatMs,
});

/**
 * The life of one process: starts serving, says that it is ready, sends heartbeats, waits to be told to stop, drains, leaves. A
 * second request to stop ends it at once. Resolves when all is closed.
 */
export async function runComponent(
  kind: ComponentKind,
  config: Config,
  serve: (component: Component) => Promise<Serving>,
  id = `${hostname()}-${process.pid}`,
): Promise<void> {
  tuneEngine();
  process.title = `mpcsfaas ${kind} ${id}`;
  const colour = process.stdout.isTTY;
  const style = {
    level: config.logLevel,
    format: config.logFormat ?? (colour ? 'pretty' : 'json'),
    colour,
    base: { actor: kind },
  };
  const { log, transition: logTransition, flush } = openLog(style);
  const counts = new ProcessMetrics();
  const metrics = new MetricSources({ kind, id }, counts);
  const transition = counted(logTransition, counts.transitions);
  const machine: Actor<typeof componentMachine> = runMachine(componentMachine, {
    machine: 'component',
    id: `${kind} ${id}`,
    transition,
    clock: systemClock,
    details: () => ({ away: machine.getSnapshot().context.away.join(',') || undefined }),
  });
  const onError = errorReporter(log);
  const tracer = await openTracer(config, kind, id);
  exitOnFault(log, flush);
  const insecurity = kind === 'api' || kind === 'dispatcher' ? insecurityWarning(kind, config) : undefined;
  const stopWarning = keepWarning(log, insecurity);

  let requestStop: () => void = () => undefined;
  const stopRequested = new Promise<void>((resolve) => (requestStop = resolve));
  onStopSignals(requestStop, () => {
    process.exit(1);
  });

  const role = kind === 'worker' ? undefined : kind;
  const stores: TaskStore[] = [];
  const seal = new EventSeal();
  let control: NatsBus | undefined;
  const component: Component = {
    id,
    log,
    transition,
    counts,
    metrics,
    tracer,
    onError,
    dependency: (dependency) => ({
      lost: (reason) => {
        if (machine.getSnapshot().status === 'done') return; // Its own goodbye.
        log.warn({ dependency, reason }, `${dependency} is away`);
        machine.send({ type: 'dependency.lost', dependency });
      },
      restored: () => {
        log.info({ dependency }, `${dependency} is back`);
        machine.send({ type: 'dependency.restored', dependency });
      },
    }),
    isAway: (name) => machine.getSnapshot().context.away.includes(name),
    insecurity,
    isDraining: () => machine.getSnapshot().value === 'draining',
    requestStop: () => {
      requestStop();
    },
    openStore: async () => (await component.openApiStores()).store,
    openApiStores: async () => {
      const redis = connectRedis(redisAccess(config, role), component.dependency('redis'));
      keepSealKey(redis, seal);
      const { shards, leaseMs, resultTtlSeconds } = config;
      // The store's own connection tells when Redis is away.
      const listener = (): Redis => connectRedis(redisAccess(config, role), UNWATCHED);
      const store = new RedisTaskStore(redis, { shards, leaseMs, resultTtlSeconds, listener });
      stores.push(store);
      await waitFor(() => redis.status === 'ready');
      const groupStore = new RedisGroupStore(redis, { resultTtlSeconds });
      const idempotencyStore = new RedisIdempotencyStore(redis, { resultTtlSeconds });
      const lists = new RedisTaskLists(redis, { shards });
      if (kind === 'api') {
        const defaults = {
          maxWaiting: config.tenantMaxQueued,
          maxWaitingBytes: config.tenantMaxQueuedBytes,
          maxRunning: config.tenantMaxRunning,
          maxRetainedBytes: config.tenantMaxRetainedBytes,
        };
        await new RedisTenants(redis, { shards }).setLimits(undefined, defaults).catch(onError);
      }
      return { store, groupStore, idempotencyStore, lists, apiKeys: new RedisApiKeys(redis) };
    },
    openControl: async (topics) => {
      const events = component.dependency('nats');
      const asked = [...topics, 'metrics.asked'] as const;
      const access = natsAccess(config, role);
      const address = `${kind}-${id}`;
      const bus = new NatsBus({ url: config.natsUrl, access, address, topics: asked, events, seal, onError });
      control = bus;
      await waitFor(() => bus.connected);
      return answering(bus, metrics, onError);
    },
  };

  const close = async (): Promise<void> => {
    stopWarning();
    control?.send('component.stopped', { type: 'component.stopped', kind, id });
    await control?.close();
    for (const store of stores) await store.close();
    if (tracer) await bounded(tracer.close(), CLOSE_MARGIN_MS, onError);
    await flush();
  };

  let serving: Serving;
  try {
    serving = await serve(component);
  } catch (error) {
    await close();
    throw error;
  }
  machine.send({ type: 'component.started' });
  if (process.connected) process.send?.({ type: 'ready', address: serving.address });
  const beat = (): void => {
    const state = machine.getSnapshot().value;
    const { address } = serving;
    control?.send('component.heartbeat', { type: 'component.heartbeat', kind, id, state, ...(address && { address }) });
  };
  // Workers tell their dispatcher alone.
  const stopBeats = role === undefined ? undefined : every(systemClock, config.heartbeatMs, beat);

  await stopRequested;
  machine.send({ type: 'component.draining' });
  await bounded(serving.drain(config.shutdownGraceMs), config.shutdownGraceMs + CLOSE_MARGIN_MS, onError);
  stopBeats?.();
  machine.send({ type: 'component.stopped' });
  await close();
}

/** Workers make no spans: their dispatcher knows all that they do. */
async function openTracer(config: Config, kind: ComponentKind, id: string): Promise<OtlpTracer | undefined> {
  const { otlpEndpoint: endpoint, traceRatio: ratio, serviceName } = config;
  if (endpoint === undefined || (kind !== 'api' && kind !== 'dispatcher')) return undefined;
  const { openOtlpTracer } = await import('./otlpTracer.js');
  return openOtlpTracer({ endpoint, ratio, serviceName, kind, id });
}

async function waitFor(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + CONNECT_WAIT_MS;
  while (!condition() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function bounded(work: Promise<void>, limitMs: number, onError: (error: unknown) => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, limitMs)));
  await Promise.race([work.catch(onError), limit]);
  clearTimeout(timer);
}

/** A dependency that is away is in the log once, through the machine; each call that fails for it need not be. */
function errorReporter(log: Logger): (error: unknown) => void {
  return (error) => {
    if (error instanceof PlatformError && error.code === 'STORE_UNAVAILABLE') log.debug({ err: error }, error.message);
    else log.error({ err: error }, error instanceof Error ? error.message : String(error));
  };
}

/** A fault of ours leaves the process in an unknown state: it ends, loudly, and whoever supervises it starts another. */
function exitOnFault(log: Logger, flush: () => Promise<void>): void {
  const fault = (error: unknown): void => {
    log.fatal({ err: error }, 'a fault of the platform; this process ends');
    void flush().then(() => process.exit(1));
  };
  process.on('uncaughtException', fault);
  process.on('unhandledRejection', fault);
}
