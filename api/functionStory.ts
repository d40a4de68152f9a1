import { type Static, Type } from '@fastify/type-provider-typebox';
import { pythonNeeded } from '../bus/functionOrigin.js';
import { type FunctionRuns, summaryOfRuns } from '../bus/functionRuns.js';
import type { FunctionRecord } from '../bus/taskStore.js';
import { shownName } from './functionNames.js';
import { Nullable, Uuid } from './schemas.js';
import { isoTime, isoTimeSchema, msTimeSchema } from './times.js';

/** What is known of a function. */
export const FunctionStory = Type.Object({
  function_id: Uuid('Id of the function; the same bytes always have the same one'),
  name: Type.String({ description: 'As it was first registered' }),
  payload_bytes: Type.Integer({ description: 'Size of its pickle' }),
  python: Nullable(
    Type.String({ description: 'That made its pickle, such as `cpython 3.11.2`; null when it was not told' }),
  ),
  dill_version: Nullable(Type.String({ description: 'That made its pickle' })),
  source_is_complete: Type.Boolean({ description: 'Workers of any Python 3 can compile it' }),
  needs_python: Nullable(
    Type.String({ description: 'Only workers with it get its tasks, such as `cpython-3.11`; null: any' }),
  ),
  runs: Type.Object(
    {
      completed: Type.Integer({ description: 'Tasks that have completed' }),
      failed: Type.Integer({
        description: 'Tasks that have failed in a worker, an exception of the function included',
      }),
      mean_us: Nullable(
        Type.Integer({ description: 'Mean run time of completed ones, microseconds; null without any' }),
      ),
      p50_us: Nullable(Type.Integer({ description: 'Half of them took less, within 9 %' })),
      p95_us: Nullable(Type.Integer({ description: '95 of 100 took less, within 9 %' })),
      p99_us: Nullable(Type.Integer({ description: '99 of 100 took less, within 9 %' })),
    },
    { description: 'Of all times, as dispatchers counted them; a second late at most' },
  ),
  registered_at: isoTimeSchema('When it was registered'),
  registered_at_ms: msTimeSchema('When it was registered'),
});

export function functionStory(record: FunctionRecord, runs: FunctionRuns): Static<typeof FunctionStory> {
  const times = summaryOfRuns(runs);
  const { origin } = record;
  const python = origin ? `${origin.pythonImplementation} ${origin.pythonVersion}`.trim() : '';
  return {
    function_id: record.functionId,
    name: shownName(record.name),
    payload_bytes: record.payloadBytes,
    python: orNull(python),
    dill_version: orNull(origin?.dillVersion),
    source_is_complete: origin?.source?.isComplete ?? false,
    needs_python: orNull(pythonNeeded(origin)),
    runs: {
      completed: runs.completed,
      failed: runs.failed,
      mean_us: times?.meanUs ?? null,
      p50_us: times?.p50Us ?? null,
      p95_us: times?.p95Us ?? null,
      p99_us: times?.p99Us ?? null,
    },
    registered_at: isoTime(record.registeredAtMs),
    registered_at_ms: record.registeredAtMs,
  };
}

const orNull = (text = ''): string | null => (text === '' ? null : text);
