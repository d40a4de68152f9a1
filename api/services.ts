import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { ApiKeyStore } from '../bus/apiKeys.js';
import type { Config } from '../bus/config.js';
import type { DependencyResolver } from '../bus/dependencyResolver.js';
import type { GroupStore, OutcomeReader } from '../bus/groupStore.js';
import type { IdempotencyStore } from '../bus/idempotencyStore.js';
import type { TaskRef } from '../bus/messages.js';
import type { ProcessMetrics } from '../bus/metrics.js';
import type { TaskLists } from '../bus/taskLists.js';
import type { TaskStore } from '../bus/taskStore.js';
import type { Tracer } from '../bus/tracing.js';
import type { TransitionLog } from '../bus/transitionLog.js';
import type { AuditLog } from './audit.js';
import type { ConnectedWorkers } from './connectedWorkers.js';
import type { SamplerOptions } from './dashboard/sampler.js';
import type { Groups, GroupsOptions } from './groups/groups.js';
import type { ResultStreams } from './groups/resultStreams.js';
import type { KnownFunctions } from './knownFunctions.js';
import type { LiveOutput } from './logs/liveOutput.js';
import type { PlatformMetrics } from './metrics/platformMetrics.js';
import type { SettledTasks } from './settledTasks.js';
import type { SubmitRate } from './submitRate.js';
import type { Submitter } from './submitter.js';

/** What the API is given by who starts it. */
export interface ApiDependencies {
  store: TaskStore & OutcomeReader;
  lists: TaskLists;
  groupStore: GroupStore;
  idempotencyStore: IdempotencyStore;
  apiKeys: ApiKeyStore;
  /** Closed by the app, before it stops listening. */
  settled: SettledTasks;
  /** What running tasks print, for those who read it as it comes. */
  live: LiveOutput;
  /** New tasks can be claimed: dispatchers should know. Must not throw. */
  announceQueued: (count: number) => void;
  /** These attempts were cancelled while they ran: their dispatchers should stop them. Must not throw. */
  announceCancelled: (refs: TaskRef[]) => void;
  /** A worker or dispatcher should drain. Must not throw. */
  announceDrain: (kind: 'worker' | 'dispatcher', name: string) => void;
  transition: TransitionLog;
  /** Of all processes. */
  metrics: PlatformMetrics;
  /** What this one counts. */
  counts?: ProcessMetrics;
  /** Absent when nothing is traced. */
  tracer?: Tracer | undefined;
  log: Logger;
  config: Pick<
    Config,
    | 'maxBodyBytes'
    | 'maxArgumentBytes'
    | 'maxAttempts'
    | 'apiKeysRequired'
    | 'apiHostNames'
    | 'maxConnections'
    | 'maxConnectionsPerAddress'
  > &
    Partial<Pick<Config, 'submitRate'>>;
  isReady: () => { redis: boolean; nats: boolean };
  /** True from the moment the process was told to stop: no new tasks are taken. */
  isDraining: () => boolean;
  /** What an operator should know of how this API was started; shown with its health. */
  warnings?: readonly string[];
  version: string;
  /** Under which this process hears of the ends of tasks that it waits for from their submission on, see `NewTask.reader`. */
  reader?: string;
  /** Where it is written down who did what. None: nowhere. */
  audit?: AuditLog;
  /** How long a request may take to arrive whole, headers and body. Default 60,000. */
  requestTimeoutMs?: number;
  /** Silence on a stream after which a sign of life is sent. Default 10,000. */
  streamHeartbeatMs?: number;
  groupsOptions?: Partial<GroupsOptions>;
  /** How often the dashboard's numbers are looked at. */
  dashboard?: Pick<SamplerOptions, 'everyMs' | 'unwatchedEveryMs'>;
}

/** What the routes work with. */
export interface ApiServices extends ApiDependencies {
  knownFunctions: KnownFunctions;
  connectedWorkers: ConnectedWorkers;
  dependencies: DependencyResolver;
  submitter: Submitter;
  submitRate: SubmitRate;
  groups: Groups;
  streams: ResultStreams;
}

/** The Fastify instance, typed so that requests and replies have the types of their schemas. */
export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
