import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { buildApp } from '../api/app.js';
import { LiveOutput } from '../api/logs/liveOutput.js';
import { PlatformMetrics } from '../api/metrics/platformMetrics.js';
import { SettledTasks } from '../api/settledTasks.js';
import type { Config } from '../bus/config.js';
import { gauge, type MetricFamily } from '../bus/metricFamilies.js';
import { PACKAGE_ROOT } from '../bus/packageRoot.js';
import type { TaskLists } from '../bus/taskLists.js';
import { openAuditFile } from './auditFile.js';
import { type Component, runComponent, type Serving } from './component.js';
import { expiryOf } from './security/certificates.js';
import { warnBeforeExpiry } from './security/expiry.js';
import { keepFirstKey } from './security/firstKey.js';
import { StartError } from './startError.js';

/** The API process. */
export function runApi(config: Config): Promise<void> {
  return runComponent('api', config, async (component) => {
    const audit = config.auditLog ? openAuditFile(config.dataDir, component.onError) : undefined;
    const stores = await component.openApiStores();
    const stopTaking = keepFirstKey(stores.apiKeys, config.firstApiKey, component.log);
    const { tlsCert } = config;
    const stopWarning = warnBeforeExpiry(component.log, () => (tlsCert === undefined ? [] : [expiryOf(tlsCert)]));
    const control = await component.openControl([
      'tasks.settled',
      'task.output',
      'component.heartbeat',
      'component.stopped',
      'metrics.report',
    ]);
    const live = new LiveOutput((request) => {
      control.send('task.follow', { type: 'task.follow', ...request });
    });
    const settled = new SettledTasks({ store: stores.store });
    stores.store.hearEnds(component.id, (tasks) => {
      settled.onEnded(tasks);
    });
    const metrics = new PlatformMetrics({
      self: { kind: 'api', id: component.id },
      own: () => component.metrics.families(),
      platform: () => platformFamilies(stores.lists),
      ask: (scrape) => {
        control.send('metrics.asked', { type: 'metrics.asked', scrape });
        return !component.isAway('nats');
      },
    });
    component.metrics.add(() => dependencyFamilies(component));
    control.listen((message) => {
      if (message.type === 'tasks.settled') settled.onSettled(message.tasks);
      else if (message.type === 'task.output') live.onOutput(message);
      else metrics.onControl(message);
    });
    const app = await buildApp({
      ...stores,
      reader: component.id,
      settled,
      live,
      announceQueued: (count) => {
        control.send('tasks.queued', { type: 'tasks.queued', count });
      },
      announceCancelled: (tasks) => {
        control.send('tasks.cancelled', { type: 'tasks.cancelled', tasks });
      },
      announceDrain: (kind, name) => {
        if (kind === 'worker') control.send('worker.drain', { type: 'worker.drain', worker: name });
        else control.send('dispatcher.drain', { type: 'dispatcher.drain', dispatcher: name });
      },
      transition: component.transition,
      metrics,
      counts: component.counts,
      tracer: component.tracer,
      log: component.log,
      config,
      isReady: () => ({ redis: !component.isAway('redis'), nats: !component.isAway('nats') }),
      isDraining: () => component.isDraining(),
      warnings: component.insecurity === undefined ? [] : [component.insecurity],
      version: version(),
      requestTimeoutMs: config.requestTimeoutMs,
      ...(audit && { audit: (entry) => audit.write(entry) }),
    });
    const serving = await listen(component, config, app);
    return {
      ...serving,
      drain: async (graceMs) => {
        stopTaking();
        stopWarning();
        await serving.drain(graceMs);
        await audit?.close();
      },
    };
  });
}

const dependencyFamilies = (component: Component): MetricFamily[] => [
  gauge('dependency_up', 'Whether this process reaches Redis and NATS.', [
    [{ dependency: 'redis' }, component.isAway('redis') ? 0 : 1],
    [{ dependency: 'nats' }, component.isAway('nats') ? 0 : 1],
  ]),
];

async function platformFamilies(lists: TaskLists): Promise<MetricFamily[]> {
  const { queued, running, delayed, retrying, blocked, oldestQueuedAtMs } = await lists.countTasks();
  const { high, normal, low } = queued;
  const now = Date.now();
  return [
    gauge('tasks', 'Tasks that have not ended, by where they are.', [
      [{ state: 'queued' }, high + normal + low],
      [{ state: 'running' }, running],
      [{ state: 'delayed' }, delayed],
      [{ state: 'retrying' }, retrying],
      [{ state: 'blocked' }, blocked],
    ]),
    gauge('queue_tasks', 'Tasks in the queues, by priority.', [
      [{ priority: 'high' }, high],
      [{ priority: 'normal' }, normal],
      [{ priority: 'low' }, low],
    ]),
    gauge('queue_oldest_seconds', 'How long the task that is claimed next has been waiting; 0 when none waits.', [
      [{}, Math.max(0, now - (oldestQueuedAtMs ?? now)) / 1_000],
    ]),
  ];
}

async function listen({ log }: Component, config: Config, app: Awaited<ReturnType<typeof buildApp>>): Promise<Serving> {
  try {
    await app.listen({ host: config.apiHost, port: config.apiPort });
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'the port is taken' : String(cause);
    const where = `${config.apiHost}:${config.apiPort}`;
    throw new StartError(`The API cannot listen on ${where}: ${reason}. Choose another one with API_PORT.`, { cause });
  }
  const { port } = app.server.address() as AddressInfo;
  const address = `http://${config.apiHost}:${port}`;
  log.info({ address }, 'serving');
  return { address, drain: () => app.close() };
}

function version(): string {
  return (JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string }).version;
}
