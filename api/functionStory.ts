import { type Static, Type } from '@fastify/type-provider-typebox';
import type { FunctionRecord } from '../bus/taskStore.js';
import { Uuid } from './schemas.js';
import { isoTime, isoTimeSchema, msTimeSchema } from './times.js';

/** What is known of a function. */
export const FunctionStory = Type.Object({
  function_id: Uuid('Id of the function; the same bytes always have the same one'),
  name: Type.String({ description: 'As it was first registered' }),
  payload_bytes: Type.Integer({ description: 'Size of its pickle' }),
  registered_at: isoTimeSchema('When it was registered'),
  registered_at_ms: msTimeSchema('When it was registered'),
});

export function functionStory(record: FunctionRecord): Static<typeof FunctionStory> {
  return {
    function_id: record.functionId,
    name: record.name,
    payload_bytes: record.payloadBytes,
    registered_at: isoTime(record.registeredAtMs),
    registered_at_ms: record.registeredAtMs,
  };
}
