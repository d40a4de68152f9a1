import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { fastify, type FastifyInstance } from 'fastify';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { DependencyResolver } from '../bus/dependencyResolver.js';
import { guardRoutes } from './access.js';
import { deniedRecorder, recordActions } from './audit.js';
import { refuseOtherSites } from './browserGuard.js';
import { dashboardRoutes } from './dashboard/routes.js';
import { replyError, taskOf, type ErrorReplyOptions, replyErrors, replyToBrokenRequest } from './errorReplies.js';
import { Groups } from './groups/groups.js';
import { ResultStreams } from './groups/resultStreams.js';
import { Connections } from './connections.js';
import { ConnectedWorkers } from './connectedWorkers.js';
import { KnownFunctions } from './knownFunctions.js';
import { KeyRing } from './keyRing.js';
import { acceptBodies } from './requestBody.js';
import { batchRoutes } from './routes/batches.js';
import { courseRoutes } from './routes/courseTasks.js';
import { documentation, documentationRoutes } from './routes/documentation.js';
import { functionRoutes } from './routes/functions.js';
import { groupRoutes } from './routes/groups.js';
import { healthRoutes } from './routes/health.js';
import { logRoutes } from './routes/logs.js';
import { keyRoutes } from './routes/keys.js';
import { listRoutes } from './routes/lists.js';
import { countRequests } from './metrics/countRequests.js';
import { metricRoutes } from './routes/metrics.js';
import { operationRoutes } from './routes/operations.js';
import { runAgainRoutes } from './routes/runAgain.js';
import { taskRoutes } from './routes/tasks.js';
import { MAX_WAIT_SECONDS } from './schemas.js';
import { SECURITY_HEADERS } from './securityHeaders.js';
import type { ApiDependencies, ApiServices } from './services.js';
import { SubmitRate } from './submitRate.js';
import { Submitter } from './submitter.js';

const DEFAULT_REQUEST_TIMEOUT_MS = 60_000;
/** Headers are a few kilobytes: who takes longer is keeping a connection busy. */
const HEADERS_TIMEOUT_MS = 15_000;
/** Longer than load balancers keep connections, so that they, not we, close them: a close of ours could meet a request under way. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** A connection without a byte for so long is dead; a waiting client's is silent for as long as it waits. */
const CONNECTION_TIMEOUT_MS = (MAX_WAIT_SECONDS + 30) * 1_000;
/** No id is as long; long ones shall reach validation, which says what is wrong with them. */
const MAX_PARAMETER_LENGTH = 16_384;
const CLIENT_REQUEST_ID = /^[\w.:-]{1,64}$/;

/**
 * The API as a Fastify instance that does not listen yet. Closing it first answers the clients that wait, with what there is.
 * Redis, NATS and their state are the caller's: what is here works with any store and says 503 while it is away.
 */
export async function buildApp(dependencies: ApiDependencies): Promise<FastifyInstance> {
  const { store, settled, log, config } = dependencies;
  const requestTimeout = dependencies.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
  const knownFunctions = new KnownFunctions(store);
  const groups = new Groups({ store, groupStore: dependencies.groupStore, ...dependencies.groupsOptions });
  const streams = new ResultStreams({ groups, reader: store, heartbeatMs: dependencies.streamHeartbeatMs });
  const { transition, announceQueued, counts } = dependencies;
  const resolver = new DependencyResolver({
    ...{ store, transition },
    queued: announceQueued,
    settled: (tasks) => settled.onSettled(tasks),
    onError: (error) => log.warn({ err: error }, 'tasks that depend on others are told later'),
  });
  const submitter = new Submitter({ ...dependencies, dependencies: resolver });
  const submitRate = new SubmitRate(config.submitRate ?? 0);
  const connectedWorkers = new ConnectedWorkers(store);
  const services: ApiServices = {
    ...dependencies,
    ...{ knownFunctions, connectedWorkers, dependencies: resolver, submitter, submitRate, groups, streams },
  };
  settled.alsoTell((tasks) => groups.onSettled(tasks));
  const errors: ErrorReplyOptions = {
    log,
    onStoreAway: () => knownFunctions.forgetAll(),
    ...(dependencies.audit && { onDenied: deniedRecorder(dependencies.audit) }),
  };

  const app = fastify({
    // Fastify's own logger costs a child logger per request; faults are logged by `errorReplies.ts`.
    logger: false,
    genReqId: requestIds(),
    bodyLimit: config.maxBodyBytes,
    requestTimeout,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    http: {
      headersTimeout: Math.min(requestTimeout, HEADERS_TIMEOUT_MS),
      // Node looks for slow requests only as often as this, every 30 s by default.
      connectionsCheckingInterval: Math.min(requestTimeout, 1_000),
    },
    forceCloseConnections: 'idle',
    return503OnClosing: false, // `isDraining` refuses new tasks in our own words, and what can still be read is answered.
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAMETER_LENGTH },
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false } },
    clientErrorHandler: replyToBrokenRequest,
    frameworkErrors: (error, request, reply) =>
      void replyError(error, request, reply.headers(SECURITY_HEADERS), errors),
  }).withTypeProvider<TypeBoxTypeProvider>();

  acceptBodies(app);
  replyErrors(app, errors);
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
    done();
  });
  const connections = new Connections(app.server, config, log);
  const keys = config.apiKeysRequired ? new KeyRing({ store: dependencies.apiKeys }) : undefined;
  guardRoutes(app, keys, connections);
  refuseOtherSites(app, keys ? undefined : config.apiHostNames);
  recordActions(app, dependencies.audit);
  const stopSweeping = keys && connections.endWithKeys(() => keys.stillValid());
  if (counts) countRequests(app, counts);
  if (log.isLevelEnabled('debug')) {
    app.addHook('onResponse', (request, reply, done) => {
      const { method, url, id } = request;
      log.debug(
        { requestId: id, ...taskOf(request), method, url, status: reply.statusCode, ms: reply.elapsedTime },
        'request',
      );
      done();
    });
  }
  app.addHook('preClose', (done) => {
    settled.close();
    streams.close();
    groups.close();
    stopSweeping?.();
    done();
  });

  await documentation(app, dependencies.version);
  courseRoutes(app, services);
  functionRoutes(app, services);
  batchRoutes(app, services);
  groupRoutes(app, services);
  taskRoutes(app, services);
  logRoutes(app, services);
  listRoutes(app, services);
  runAgainRoutes(app, services);
  operationRoutes(app, services);
  keyRoutes(app, services);
  healthRoutes(app, services);
  metricRoutes(app, services);
  documentationRoutes(app, services);
  dashboardRoutes(app, services);
  await app.ready();
  return app;
}

/** The client's `x-request-id` where it is presentable, else one of our own: unique across processes, cheap to make. */
function requestIds(): (request: IncomingMessage) => string {
  const prefix = randomBytes(4).toString('hex');
  let count = 0;
  return ({ headers }) => {
    const given = headers['x-request-id'];
    return typeof given === 'string' && CLIENT_REQUEST_ID.test(given) ? given : `${prefix}-${(++count).toString(36)}`;
  };
}
