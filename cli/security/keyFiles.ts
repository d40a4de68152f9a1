import { readFileSync } from 'node:fs';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
import { isCurveKey } from '../../bus/zeromq/security/z85.js';
import { StartError } from '../startError.js';
import { writeSecretFile } from './secretFile.js';

const Time = Type.String({ description: 'ISO 8601' });

/** The dispatcher's keys, the newest first, each with the port where workers expect it: a port has one key. */
const DispatcherKeysFile = Type.Array(
  Type.Object({
    port: Type.Integer({ minimum: 0, maximum: 65_535 }),
    publicKey: Type.String(),
    secretKey: Type.String(),
    created: Time,
    /** From when on it is not used any more; the newest has none. */
    retires: Type.Optional(Time),
  }),
  { minItems: 1 },
);
export type DispatcherKey = Static<typeof DispatcherKeysFile>[number];

/** Workers that may connect. A name has several keys while its key is being changed. */
const WorkerKeysFile = Type.Array(
  Type.Object({
    name: Type.String(),
    publicKey: Type.String(),
    created: Time,
    expires: Time,
    /** Kept, so that one can see what became of it. */
    revoked: Type.Optional(Time),
  }),
);
export type WorkerKey = Static<typeof WorkerKeysFile>[number];

/** @throws StartError when it cannot be read or is something else. */
export function readDispatcherKeys(path: string): DispatcherKey[] {
  return read(path, DispatcherKeysFile, (keys) =>
    keys.every((key) => isCurveKey(key.publicKey) && isCurveKey(key.secretKey)),
  );
}

/** @throws StartError when it cannot be read or is something else. */
export function readWorkerKeys(path: string): WorkerKey[] {
  return read(path, WorkerKeysFile, (keys) => keys.every((key) => isCurveKey(key.publicKey)));
}

export const writeKeys = (path: string, keys: readonly DispatcherKey[] | readonly WorkerKey[]): void =>
  writeSecretFile(path, `${JSON.stringify(keys, null, 2)}\n`);

function read<T extends typeof DispatcherKeysFile | typeof WorkerKeysFile>(
  path: string,
  schema: T,
  isRight: (value: Static<T>) => boolean,
): Static<T> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new StartError(`${path} cannot be read; \`mpcsfaas init\` makes such a file.`, { cause });
  }
  if (!Value.Check(schema, value) || !isRight(value)) {
    throw new StartError(`${path} is not what \`mpcsfaas init\` makes: a list of keys.`);
  }
  return value;
}
