/**
 * Checks of decoded values: each returns the value with its type, or throws `ShapeError`. For what peers send, where nothing can be
 * taken for granted.
 */

/** Not the shape of a message; caught by `decode`. */
export class ShapeError extends Error {}

export function array(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new ShapeError();
  return value as unknown[];
}

export function text(value: unknown): string {
  if (typeof value !== 'string') throw new ShapeError();
  return value;
}

export function number(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new ShapeError();
  return value;
}

export function bytes(value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw new ShapeError();
}
