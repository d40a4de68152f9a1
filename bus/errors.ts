/**
 * The error catalogue: every error a person or a client can meet, with the HTTP status it becomes and what to do about it.
 * A spec holds ARCHITECTURE.md and the API's answers against this table.
 */
export const ERROR_CATALOGUE = {
  CONFIG_INVALID: { status: 500, remedy: 'Correct the named variable or option and start again.' },
  DEPENDENCY_MISSING: { status: 500, remedy: 'Run `make setup`, which installs what is missing.' },
  VALIDATION_FAILED: { status: 422, remedy: 'Correct the named field and send the request again.' },
  PAYLOAD_NOT_BASE64: {
    status: 400,
    remedy: 'Send the pickle as base64, as `codecs.encode(data, "base64")` makes it.',
  },
  PAYLOAD_NOT_PICKLE: { status: 400, remedy: 'Send the bytes of `dill.dumps(...)`, whole and alone.' },
  BODY_TOO_LARGE: { status: 413, remedy: 'Send less in one request, or raise MAX_BODY_BYTES.' },
  ARGUMENTS_TOO_LARGE: {
    status: 413,
    remedy: 'Send where the data is, or let the task depend on one that makes it; or raise MAX_ARGUMENT_BYTES.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    remedy: 'Send JSON with `content-type: application/json`, or MessagePack with `application/x-msgpack`.',
  },
  UNAUTHENTICATED: {
    status: 401,
    remedy:
      'Send a key as `Authorization: Bearer mpcs_...`; the Python client and `mpcsfaas` take it from MPCSFAAS_API_KEY. Who runs the platform makes one with `mpcsfaas key create`.',
  },
  FORBIDDEN: { status: 403, remedy: 'Use a key with that scope; `mpcsfaas key list` shows what each key may do.' },
  FORBIDDEN_ORIGIN: { status: 403, remedy: 'Use a page of this server, or a client that is no browser.' },
  FORBIDDEN_HOST: {
    status: 403,
    remedy: 'Use the address of the server, add the name to API_HOST_NAMES, or ask for keys (API_KEYS=required).',
  },
  TOO_MANY_CONNECTIONS: {
    status: 503,
    remedy:
      'Close connections or use fewer, and try again; MAX_CONNECTIONS and MAX_CONNECTIONS_PER_ADDRESS are the limits.',
  },
  QUOTA_EXCEEDED: {
    status: 429,
    remedy: 'Wait as long as `retry-after` says and send the request again, or ask who runs the platform for more.',
  },
  FUNCTION_UNKNOWN: {
    status: 404,
    remedy: 'Register the function first; an id is returned by POST /register_function.',
  },
  TASK_UNKNOWN: { status: 404, remedy: 'Check the id; finished tasks are kept for RESULT_TTL_SECONDS.' },
  WORKER_UNKNOWN: { status: 404, remedy: 'Check the name; GET /workers lists the workers that are connected.' },
  DISPATCHER_UNKNOWN: { status: 404, remedy: 'Check the id; GET /dispatchers lists the dispatchers that run.' },
  KEY_UNKNOWN: { status: 404, remedy: 'Check the id; GET /keys and `mpcsfaas key list` show all keys.' },
  GROUP_UNKNOWN: { status: 404, remedy: 'Check the id; POST /tasks and POST /groups answer ids of groups.' },
  NOT_FOUND: { status: 404, remedy: 'See /docs for what this server offers.' },
  IDEMPOTENCY_MISMATCH: { status: 409, remedy: 'Use a new `Idempotency-Key` for each request that is not a repeat.' },
  NOT_REPEATABLE: {
    status: 409,
    remedy: 'Submit the function anew with its arguments: they are kept of failed and cancelled tasks alone.',
  },
  NO_WORKER_WITH_PYTHON: {
    status: 409,
    remedy:
      'Start a worker with that Python (`--python`), register the function with that of the workers, or make it self-contained (imports inside, no closure, no globals) and register it with its source: then any Python runs it.',
  },
  REQUEST_TIMEOUT: { status: 408, remedy: 'Send the request faster, or in smaller parts.' },
  ANSWER_TOO_LARGE: { status: 413, remedy: 'Ask for fewer tasks in one request.' },
  TOO_MANY_WAITS: { status: 429, remedy: 'Wait for fewer tasks at once, or ask without waiting.' },
  TOO_MANY_REQUIREMENTS: {
    status: 429,
    remedy: 'Use fewer different combinations of labels, or wait until some of the tasks have been run.',
  },
  STORE_UNAVAILABLE: {
    status: 503,
    remedy: 'Redis cannot be reached; try again in a moment. A submission answered so may or may not have been taken.',
  },
  EVENTS_UNAVAILABLE: { status: 503, remedy: 'NATS cannot be reached; try again in a moment.' },
  SHUTTING_DOWN: { status: 503, remedy: 'This API is stopping; try again in a moment.' },
  INTERNAL: { status: 500, remedy: 'This is a fault of the platform; its log has the details under the request id.' },
} as const;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

/** An error of the catalogue: what happened, in words; the remedy comes from the table. */
export class PlatformError extends Error {
  readonly code: ErrorCode;

  /** When it is worth trying again, where that is known. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; retryAfterSeconds?: number }) {
    super(message, options);
    this.retryAfterSeconds = options?.retryAfterSeconds;
    this.name = 'PlatformError';
    this.code = code;
  }

  get status(): number {
    return ERROR_CATALOGUE[this.code].status;
  }

  get remedy(): string {
    return ERROR_CATALOGUE[this.code].remedy;
  }
}
