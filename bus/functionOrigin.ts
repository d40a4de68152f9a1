import { pythonOf } from './requirement.js';

/** What a registration may tell of a function beside its pickle: the Python that made it, and its source. */
export interface FunctionOrigin {
  /** `cpython`, `pypy`, ... */
  readonly pythonImplementation: string;
  /** Such as `3.11.2`. */
  readonly pythonVersion: string;
  /** '' when it was not told. */
  readonly dillVersion: string;
  readonly source?: FunctionSource;
}

export interface FunctionSource {
  /** Under which the text defines the function. */
  readonly name: string;
  readonly text: string;
  /** Running the text alone defines the same function, so that any Python 3 can compile it. */
  readonly isComplete: boolean;
}

/** An origin without the text of the source, which may be long. */
export interface OriginSummary extends Omit<FunctionOrigin, 'source'> {
  readonly source?: Omit<FunctionSource, 'text'>;
}

export function summaryOf({ source, ...rest }: FunctionOrigin): OriginSummary {
  return source ? { ...rest, source: { name: source.name, isComplete: source.isComplete } } : rest;
}

/** The Python that a worker must have to load the function, such as `cpython-3.11`; '' for any. */
export function pythonNeeded(origin: OriginSummary | undefined): string {
  if (!origin || origin.source?.isComplete) return '';
  return pythonOf(origin.pythonImplementation, origin.pythonVersion);
}

/**
 * What is to be noted of a function that was known already, now that more is told; undefined when that is nothing. What was told
 * first stays, but for a source that was not complete.
 */
export function betterOrigin(known: OriginSummary | undefined, told: FunctionOrigin): FunctionOrigin | undefined {
  if (!known) return told;
  if (!told.source || (known.source && (known.source.isComplete || !told.source.isComplete))) return undefined;
  return { ...known, source: told.source };
}

/** No pickle begins with it. */
const ORIGIN_MARK = 0;

/**
 * A function as workers get it: its pickle, or where its origin is known a zero byte, u32 (little-endian) length of the JSON
 * `{python, name?, source?}`, that JSON, and the pickle. The source is there when it is complete. `runtime_functions.py` reads it.
 */
export function functionBody(payload: Buffer, origin: FunctionOrigin | undefined): Buffer {
  if (!origin) return payload;
  const { pythonImplementation, pythonVersion, source } = origin;
  const python = `${pythonImplementation} ${pythonVersion}`;
  const head = Buffer.from(
    JSON.stringify({ python, ...(source?.isComplete && { name: source.name, source: source.text }) }),
  );
  const lead = Buffer.alloc(5, ORIGIN_MARK);
  lead.writeUInt32LE(head.length, 1);
  return Buffer.concat([lead, head, payload]);
}
