/** How a command for people ends, for scripts: 0 is fine. */
export const EXIT = { taskFailed: 1, usage: 2, unreachable: 3 } as const;

/** A sentence for whoever called the command, and the exit code it ends with. */
export class CommandError extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'CommandError';
  }
}

/** What the API answers; fields are read where they are needed. */
export type Json = Record<string, unknown>;

const CONNECT_TIMEOUT_MS = 5_000;
/** Beyond what a request may wait by itself. */
const ANSWER_MARGIN_MS = 10_000;

/** The API of a platform, over HTTP: all that the commands for people know of it. */
export class PlatformApi {
  readonly #identity: Record<string, string>;

  constructor(
    readonly url: string,
    key?: string,
  ) {
    this.#identity = key === undefined ? {} : { authorization: `Bearer ${key}` };
  }

  get(path: string, waitMs = 0): Promise<Json> {
    return this.call('GET', path, undefined, waitMs);
  }

  post(path: string, body: object = {}): Promise<Json> {
    return this.call('POST', path, body, 0);
  }

  /** The text of an answer, and its lines as they come. @throws CommandError */
  async *lines(path: string, accept: string, signal?: AbortSignal): AsyncGenerator<string> {
    const response = await this.fetch(path, { headers: { accept }, ...(signal && { signal }) });
    if (!response.ok) throw refused((await response.json()) as Json, response.status);
    const decoder = new TextDecoder();
    let rest = '';
    try {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
        rest = lines.pop() ?? '';
        yield* lines;
      }
    } catch (cause) {
      throw new CommandError(`The connection to ${this.url} broke; try again.`, EXIT.unreachable, { cause });
    }
    if (rest !== '') yield rest;
  }

  async text(path: string): Promise<string> {
    const response = await this.fetch(path, { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS + ANSWER_MARGIN_MS) });
    if (!response.ok) throw refused((await response.json()) as Json, response.status);
    return response.text();
  }

  private async call(method: string, path: string, body: object | undefined, waitMs: number): Promise<Json> {
    const response = await this.fetch(path, {
      method,
      signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS + ANSWER_MARGIN_MS + waitMs),
      headers: { connection: 'close', ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const answer = (await response.json().catch(() => undefined)) as Json | undefined;
    if (!answer) throw new CommandError(`${this.url} is not the API of MPCSFaaS; see --url.`, EXIT.unreachable);
    if (!response.ok) throw refused(answer, response.status);
    return answer;
  }

  private async fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(this.url + path, {
        ...init,
        headers: { ...(init.headers as Record<string, string>), ...this.#identity },
        // The key is for this server and no other.
        redirect: 'manual',
      });
    } catch (cause) {
      throw new CommandError(
        `No platform answers at ${this.url}. Start one with \`make up\`, or say where it is with --url or MPCSFAAS_URL.`,
        EXIT.unreachable,
        { cause },
      );
    }
  }
}

function refused({ detail, remedy }: Json, status: number): CommandError {
  const words = [detail, remedy].filter((one) => typeof one === 'string').join(' ');
  return new CommandError(words || `The API answered ${status}.`, status >= 500 ? EXIT.unreachable : EXIT.usage);
}
