import { type Static, type TObject, type TString, Type } from '@fastify/type-provider-typebox';
import type { FunctionOrigin } from '../bus/functionOrigin.js';

/** Longest source, in characters. `mpcsfaas/source.py` leaves longer ones away. */
const MAX_SOURCE_CHARS = 256 * 1024;

/** What a registration may tell of a function beside its pickle. Clients of the course tell none of it. */
export const originFields = {
  python_implementation: Type.Optional(
    Type.String({
      pattern: '^[a-z][a-z0-9_-]{0,31}$',
      description:
        '`sys.implementation.name` where the pickle was made. With `python_version`: only such workers get tasks',
      examples: ['cpython'],
    }),
  ),
  python_version: Type.Optional(
    Type.String({
      pattern: '^[0-9]{1,3}\\.[0-9]{1,3}[0-9A-Za-z.+-]{0,32}$',
      description: '`platform.python_version()` where the pickle was made',
      examples: ['3.11.2'],
    }),
  ),
  dill_version: Type.Optional(Type.String({ maxLength: 64, description: 'For people', examples: ['0.3.6'] })),
  source: Type.Optional(
    Type.String({ maxLength: MAX_SOURCE_CHARS, description: 'Text that defines the function under its `name`' }),
  ),
  source_is_complete: Type.Optional(
    Type.Boolean({
      description:
        'Running the source alone defines the same function: no closure, no globals but builtins and what it imports itself. Then a worker of any Python 3 gets tasks, and compiles it where the pickle is of another Python',
    }),
  ),
};
type Fields = Static<TObject<typeof originFields & { name: TString }>>;

/** Undefined when nothing of use was told. */
export function originOf(fields: Fields): FunctionOrigin | undefined {
  const { name, python_implementation: pythonImplementation, python_version: pythonVersion, source: text } = fields;
  const hasPython = pythonImplementation !== undefined && pythonVersion !== undefined;
  if (!hasPython && text === undefined) return undefined;
  return {
    pythonImplementation: hasPython ? pythonImplementation : '',
    pythonVersion: hasPython ? pythonVersion : '',
    dillVersion: fields.dill_version ?? '',
    ...(text !== undefined && { source: { name, text, isComplete: fields.source_is_complete ?? false } }),
  };
}
