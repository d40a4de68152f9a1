import { askForKey, currentKey, keyHeaders } from './apiKey.js';

/** What the API answered in place of what was asked for; `message` is its `detail`, a sentence for people. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    /** 0: no answer came. */
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly remedy: string | undefined,
  ) {
    super(detail);
  }
}

export interface CallOptions {
  method?: 'GET' | 'POST' | 'DELETE';
  /** Sent as JSON. */
  body?: unknown;
  signal?: AbortSignal | undefined;
  accept?: string;
}

/**
 * One call of the API, with the user's key where there is one; waits for the user to give one when the server asks for it.
 * @param path such as `/tasks?limit=50`
 * @throws ApiError when the answer is no success, or none comes; what the signal says when it is aborted
 */
export async function call<Answer>(path: string, options: CallOptions = {}): Promise<Answer> {
  return (await (await callForResponse(path, options)).json()) as Answer;
}

/** The same for answers that are no JSON, or are read as they come. */
export async function callForResponse(path: string, options: CallOptions = {}): Promise<Response> {
  const { method = 'GET', body, signal, accept } = options;
  for (;;) {
    const key = currentKey();
    const response = await send(path, {
      method,
      headers: {
        ...keyHeaders(),
        ...(accept !== undefined && { accept }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
    if (response.ok) return response;
    const error = await errorOf(response);
    if (response.status !== 401) throw error;
    await askForKey(key, error.message);
    signal?.throwIfAborted();
  }
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { cache: 'no-store', credentials: 'omit', ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, 'UNREACHABLE', 'The server does not answer.', 'The page goes on trying.');
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  const said = (await response.json().catch(() => ({}))) as { detail?: string; code?: string; remedy?: string };
  const detail = said.detail ?? `The server answered ${response.status} ${response.statusText}.`;
  return new ApiError(response.status, said.code ?? 'UNKNOWN', detail, said.remedy);
}

/** What to show of whatever was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof ApiError) return error.remedy === undefined ? error.message : `${error.message} ${error.remedy}`;
  return error instanceof Error ? error.message : String(error);
}
