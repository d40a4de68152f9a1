import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { ERROR_CATALOGUE, type ErrorCode, PlatformError } from '../bus/errors.js';
import { validationMessage } from './validationMessage.js';

const RETRY_AFTER_SECONDS = '1';

/** The body of every error. */
export interface ErrorReply {
  detail: string;
  code: ErrorCode;
  remedy: string;
}

const errorReply = (code: ErrorCode, detail: string): ErrorReply => ({
  detail,
  code,
  remedy: ERROR_CATALOGUE[code].remedy,
});

/** Fastify's own errors, in the words of the catalogue. */
const OF_FASTIFY: Record<string, [code: ErrorCode, detail: string]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['BODY_TOO_LARGE', 'The body is larger than this server takes.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'UNSUPPORTED_MEDIA_TYPE',
    'The body is of a content type this server does not take.',
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['VALIDATION_FAILED', 'The body is not as long as `content-length` says.'],
  FST_ERR_BAD_URL: ['VALIDATION_FAILED', 'The path of the URL is not properly encoded.'],
};

export interface ErrorReplyOptions {
  log: Logger;
  /** Called when the store turns out to be away. */
  onStoreAway: () => void;
  /** Called for every answer of 4xx: some of them mean that somebody was not let through. */
  onDenied?: (request: FastifyRequest, status: number, code: ErrorCode) => void;
}

/** Answers every error of a request from the catalogue: `{detail, code, remedy}`. Faults of the platform are logged, never shown. */
export function replyErrors(app: FastifyInstance, options: ErrorReplyOptions): void {
  app.setErrorHandler((error, request, reply) =>
    replyError(error as FastifyError | PlatformError, request, reply, options),
  );
  app.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .send(errorReply('NOT_FOUND', `There is nothing at ${request.method} ${request.url.slice(0, 200)}.`)),
  );
}

/** Also for errors that arise before there is a route, such as an undecodable URL. */
export function replyError(
  error: FastifyError | PlatformError,
  request: FastifyRequest,
  reply: FastifyReply,
  options: ErrorReplyOptions,
): FastifyReply {
  const body = describe(error, request.id);
  const { status } = ERROR_CATALOGUE[body.code];
  if (status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
  if (error instanceof PlatformError && error.retryAfterSeconds !== undefined)
    reply.header('retry-after', String(error.retryAfterSeconds));
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="mpcsfaas"');
  if (status >= 400 && status < 500) options.onDenied?.(request, status, body.code);
  if (body.code === 'STORE_UNAVAILABLE') options.onStoreAway();
  // Fastify would hang up on a client that is still sending, which then mostly sees a reset instead of this answer. Kept, the
  // connection is read on and what comes is thrown away, for as long as a request may take.
  if (body.code === 'BODY_TOO_LARGE') reply.removeHeader('connection');
  if (status >= 500) logFault(error, body.code, request, options.log);
  return reply.code(status).type('application/json; charset=utf-8').send(body);
}

function describe(error: FastifyError | PlatformError, requestId: string): ErrorReply {
  if (error instanceof PlatformError) {
    // The cause may name hosts and ports, which are the log's business.
    const detail = error.code === 'STORE_UNAVAILABLE' ? 'The task store cannot be reached.' : error.message;
    return errorReply(error.code, detail);
  }
  const [invalid] = error.validation ?? [];
  if (invalid) return errorReply('VALIDATION_FAILED', validationMessage(invalid, error.validationContext ?? 'body'));
  const known = OF_FASTIFY[error.code];
  if (known) return errorReply(...known);
  // An aborted request: nobody reads the answer.
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return errorReply('VALIDATION_FAILED', `The request cannot be read: ${error.message}.`);
  }
  return errorReply('INTERNAL', `Something went wrong inside the platform (request ${requestId}).`);
}

/** The task that a request is about, for its log lines. */
export function taskOf({ params }: FastifyRequest): { taskId?: string } {
  const { task_id: taskId } = (params ?? {}) as { task_id?: string };
  return taskId === undefined ? {} : { taskId };
}

function logFault(error: Error, code: ErrorCode, request: FastifyRequest, log: Logger): void {
  const { id: requestId, method, routeOptions } = request;
  const where = { requestId, ...taskOf(request), method, path: routeOptions.url, code };
  if (code === 'INTERNAL') log.error({ ...where, err: error }, 'request failed');
  else if (code !== 'SHUTTING_DOWN') log.warn({ ...where, reason: error.message }, 'request refused');
}

/**
 * Answers what never became a request: one that is too slow, has too large headers, or is no HTTP at all.
 * For Fastify's `clientErrorHandler`.
 */
export function replyToBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [statusLine, body] =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? ['408 Request Timeout', errorReply('REQUEST_TIMEOUT', 'The request did not arrive in time.')]
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? ['431 Request Header Fields Too Large', errorReply('VALIDATION_FAILED', 'The headers are too large.')]
        : ['400 Bad Request', errorReply('VALIDATION_FAILED', 'This is not an HTTP request.')];
  const text = JSON.stringify(body);
  const head = `HTTP/1.1 ${statusLine}\r\nContent-Type: application/json; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ${Buffer.byteLength(text)}`;
  socket.end(`${head}\r\nConnection: close\r\n\r\n${text}`);
}
