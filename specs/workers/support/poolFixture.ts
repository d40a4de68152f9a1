/** A pool with its results at hand, and the shared Python client. */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { TaskOrder, TaskRef, TaskResult } from '../../../bus/messages.js';
import type { ProcessEvent, PythonPoolOptions } from '../../../workers/poolOptions.js';
import { isRoot } from '../../../workers/sandbox/sandboxUser.js';
import { PythonPool } from '../../../workers/pythonPool.js';
import { RUN_VARIABLE } from '../../support/specEnvironment.js';
import { PYTHON, type PythonClient } from './pythonClient.js';

const NO_ARGUMENTS = '((), {})';

export class PoolFixture {
  readonly pool: PythonPool;
  readonly events: ProcessEvent[] = [];
  /** In order of arrival. */
  readonly results: TaskResult[] = [];
  private readonly waiting = new Map<string, (result: TaskResult) => void>();
  private readonly pickles = new Map<string, Buffer>();

  constructor(
    readonly client: PythonClient,
    options: Partial<PythonPoolOptions> = {},
  ) {
    this.pool = new PythonPool({
      python: PYTHON,
      slots: 2,
      ...options,
      sandbox: { ...(isRoot() && { user: 'root' }), environment: [RUN_VARIABLE], ...options.sandbox },
      onProcessEvent: (event) => this.events.push(event),
    });
    this.pool.onResults = (results) => {
      for (const result of results) {
        this.results.push(result);
        this.waiting.get(result.taskId)?.(result);
      }
    };
  }

  /** Registers the function `f` of the source; the source is its id. */
  async define(source: string): Promise<string> {
    if (!this.pool.hasFunction(source)) this.pool.addFunction(source, await this.client.function(source));
    return source;
  }

  async order(source: string, args = NO_ARGUMENTS, timeoutMs = 0): Promise<TaskOrder> {
    const functionId = await this.define(source);
    let pickle = this.pickles.get(args);
    if (pickle === undefined) this.pickles.set(args, (pickle = await this.client.value(args)));
    return { taskId: randomUUID(), fence: '1-x', functionId, arguments: pickle, timeoutMs };
  }

  /** Runs orders and waits for the result of each. */
  runAll(orders: TaskOrder[]): Promise<TaskResult[]> {
    const all = orders.map((order) => this.result(order));
    this.pool.run(orders);
    return Promise.all(all);
  }

  result(task: TaskRef): Promise<TaskResult> {
    return new Promise((resolve) => this.waiting.set(task.taskId, resolve));
  }

  async call(source: string, args?: string, timeoutMs?: number): Promise<TaskResult> {
    const [result] = await this.runAll([await this.order(source, args, timeoutMs)]);
    return result!;
  }

  /** The value, as Python prints it. */
  async value(source: string, args?: string): Promise<string> {
    const result = await this.call(source, args);
    if (result.outcome !== 'completed') throw new Error(`${result.outcome}: ${JSON.stringify(result.failure)}`);
    return (await this.client.load(result.payload)).repr;
  }

  ended(reason: string): number {
    return this.events.filter((event) => event.type === 'ended' && event.reason === reason).length;
  }
}

/** Runtime processes on this machine that have the given parent; 1 finds orphans. */
export function runtimesOf(parentPid: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(
      (pid) =>
        pid > 0 &&
        commandLine(pid).includes(`mpcsfaas.runtime`) &&
        commandLine(pid).split('\0').includes(String(parentPid)),
    );
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function eventually(condition: () => boolean, withinMs: number): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`did not come true within ${withinMs} ms: ${condition.toString()}`);
    await sleep(5);
  }
}
