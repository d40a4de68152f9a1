import { Type } from '@fastify/type-provider-typebox';
import { errorResponses, Nullable } from '../schemas.js';
import type { Api, ApiServices } from '../services.js';
import { FunctionNames } from '../functionNames.js';
import { isoTime, isoTimeSchema, msTimeSchema } from '../times.js';

const Worker = Type.Object({
  name: Type.String(),
  state: Type.String({ description: 'joining, ready, busy, suspect, draining, lost or gone' }),
  dispatcher: Type.String({ description: 'Whom it is connected to' }),
  mode: Type.String({ description: 'local, push or pull' }),
  slots: Type.Integer({ description: 'Tasks it runs at once' }),
  running: Type.Integer(),
  queued: Type.Integer({ description: 'Tasks it holds and has not started' }),
  functions: Type.Integer({ description: 'Functions it holds warm' }),
  warm_functions: Type.Array(
    Type.Object({
      function_id: Type.String(),
      name: Nullable(Type.String({ description: 'null when it is not known' })),
    }),
    { description: 'Some of those, which it got last first' },
  ),
  labels: Type.Array(Type.String(), { description: 'Tasks that ask for some of them come here' }),
  sandbox: Nullable(
    Type.String({ description: 'How far functions are kept from its machine: none, process or bubblewrap' }),
  ),
  pid: Type.Integer(),
  python_version: Type.String(),
  python_implementation: Type.String({ description: 'cpython, pypy, ...', examples: ['cpython'] }),
  dill_version: Type.String(),
  joined_at: isoTimeSchema('When it joined'),
  joined_at_ms: msTimeSchema('When it joined'),
  heartbeat_at: isoTimeSchema('When it was last heard of'),
  heartbeat_at_ms: msTimeSchema('When it was last heard of'),
});

/** The workers, as their dispatchers last reported them. */
export function workerRoutes(app: Api, { store }: ApiServices): void {
  const names = new FunctionNames(store);
  app.get(
    '/workers',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'listWorkers',
        tags: ['operations'],
        summary: 'All workers',
        response: { 200: Type.Object({ workers: Type.Array(Worker) }), ...errorResponses('STORE_UNAVAILABLE') },
      },
    },
    async () => {
      const workers = await store.readWorkers();
      const nameOf = await names.of(workers.flatMap(({ warm }) => warm));
      workers.sort((a, b) => a.name.localeCompare(b.name));
      return {
        workers: workers.map(
          ({
            warm,
            sandbox = null,
            pythonVersion,
            pythonImplementation,
            dillVersion,
            joinedAtMs,
            heartbeatAtMs,
            ...worker
          }) => ({
            ...worker,
            sandbox,
            warm_functions: warm.toReversed().map((id) => ({ function_id: id, name: nameOf.get(id) ?? null })),
            python_version: pythonVersion,
            python_implementation: pythonImplementation,
            dill_version: dillVersion,
            joined_at: isoTime(joinedAtMs),
            joined_at_ms: joinedAtMs,
            heartbeat_at: isoTime(heartbeatAtMs),
            heartbeat_at_ms: heartbeatAtMs,
          }),
        ),
      };
    },
  );
}
