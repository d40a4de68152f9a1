import type { IncomingHttpHeaders } from 'node:http';
import { pack } from '../bus/packing.js';
import { FORMATS, type StreamFormat, type StreamFormatName } from './groups/streamFormats.js';

export const JSON_TYPE = 'application/json';
export const MSGPACK_TYPE = 'application/x-msgpack';

/** What is needed of a Fastify request, whatever the schema of its route. */
export interface HeadersOnly {
  headers: IncomingHttpHeaders;
}

export const accepts = (request: HeadersOnly, type: string): boolean =>
  (request.headers.accept ?? '').split(',').some((one) => one.split(';', 1)[0]?.trim().toLowerCase() === type);

export const acceptsMsgpack = (request: HeadersOnly): boolean => accepts(request, MSGPACK_TYPE);

/** The format of a stream that the client asks for by its `Accept` header, undefined when it names none. */
export function acceptedStream(request: HeadersOnly): StreamFormat | undefined {
  return Object.values(FORMATS).find(({ contentType }) => accepts(request, contentType));
}

export const streamFormat = (request: HeadersOnly, name: StreamFormatName | undefined): StreamFormat =>
  name === undefined ? (acceptedStream(request) ?? FORMATS.ndjson) : FORMATS[name];

/**
 * An answer in MessagePack: what a handler returns in place of an object. It has no schema of its own, the one for JSON describes it.
 */
export function msgpackAnswer(reply: { type: (type: string) => unknown }, value: unknown): never {
  reply.type(MSGPACK_TYPE);
  return pack(value) as never;
}
