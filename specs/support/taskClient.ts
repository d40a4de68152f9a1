import type { SpecPlatform } from './platform.js';
import type { LoadedValue, PythonClient } from './python.js';

export interface Story {
  status: string;
  state: string;
  attempts: number;
  worker: string | null;
  failure: { type: string; message: string; signal: string | null } | null;
  history: { event: string; from: string; to: string; at_ms: number; detail: string | null }[];
}

const FINAL = ['COMPLETED', 'FAILED', 'CANCELLED'];
/** The longest that the API lets a request wait. */
const LONGEST_WAIT_S = 60;

/** A client in TypeScript: submits functions given as Python source, waits for their results. */
export class TaskClient {
  readonly #functions = new Map<string, string>();

  constructor(
    readonly platform: SpecPlatform,
    readonly python: PythonClient,
  ) {}

  /** Registers the function `f` of the source, once. */
  async register(source: string): Promise<string> {
    const known = this.#functions.get(source);
    if (known !== undefined) return known;
    const payload = await this.python.pickleFunction(source, 'f');
    const { function_id } = (await this.#call('POST', '/register_function', { name: 'f', payload })) as Record<
      string,
      string
    >;
    this.#functions.set(source, function_id!);
    return function_id!;
  }

  /** Runs the function `f` of the source on each of the argument lists. */
  async submit(source: string, calls: readonly (readonly unknown[])[], options: object = {}): Promise<string[]> {
    const function_id = await this.register(source);
    const payloads = await Promise.all(calls.map((args) => this.python.pickleArguments(args)));
    const answer = await this.#call('POST', '/tasks', { function_id, payloads, ...options });
    return (answer as { task_ids: string[] }).task_ids;
  }

  async submitOne(source: string, args: readonly unknown[] = [], options: object = {}): Promise<string> {
    const [id] = await this.submit(source, [args], options);
    return id!;
  }

  async story(id: string): Promise<Story> {
    return (await this.#call('GET', `/tasks/${id}`)) as Story;
  }

  async status(id: string): Promise<string> {
    return ((await this.#call('GET', `/status/${id}`)) as { status: string }).status;
  }

  async cancel(id: string): Promise<void> {
    await this.#call('POST', `/tasks/${id}/cancel`);
  }

  /** Waits for the ends and returns what the client would load. @throws when one has not ended in time. */
  async results(ids: readonly string[], withinMs = 15_000): Promise<(LoadedValue & { status: string })[]> {
    const wait = Math.min(LONGEST_WAIT_S, withinMs / 1000);
    const answer = await this.#call('POST', '/results', { task_ids: ids, wait });
    const { results } = answer as { results: { task_id: string; status: string; result: string }[] };
    const pending = results.filter(({ status }) => !FINAL.includes(status));
    if (pending.length > 0) throw new Error(`not ended within ${withinMs} ms: ${JSON.stringify(pending)}`);
    return Promise.all(results.map(async ({ status, result }) => ({ status, ...(await this.python.load(result)) })));
  }

  async result(id: string, withinMs?: number): Promise<LoadedValue & { status: string }> {
    const [result] = await this.results([id], withinMs);
    return result!;
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.platform.call(method, path, body);
    if (answer.status !== 200)
      throw new Error(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }
}
