import { type Static, Type } from '@fastify/type-provider-typebox';
import { pythonNeeded } from '../bus/functionOrigin.js';
import type { FunctionRecord } from '../bus/taskStore.js';
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
  registered_at: isoTimeSchema('When it was registered'),
  registered_at_ms: msTimeSchema('When it was registered'),
});

export function functionStory(record: FunctionRecord): Static<typeof FunctionStory> {
  const { origin } = record;
  const python = origin ? `${origin.pythonImplementation} ${origin.pythonVersion}`.trim() : '';
  return {
    function_id: record.functionId,
    name: record.name,
    payload_bytes: record.payloadBytes,
    python: orNull(python),
    dill_version: orNull(origin?.dillVersion),
    source_is_complete: origin?.source?.isComplete ?? false,
    needs_python: orNull(pythonNeeded(origin)),
    registered_at: isoTime(record.registeredAtMs),
    registered_at_ms: record.registeredAtMs,
  };
}

const orNull = (text = ''): string | null => (text === '' ? null : text);
