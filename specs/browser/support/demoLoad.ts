import type { SpecPlatform } from '../../support/platform.js';
import { TaskClient } from '../../support/taskClient.js';
import type { PythonClient } from '../../support/python.js';

const named = (name: string, body: string): string => `${body}\nf.__name__ = f.__qualname__ = '${name}'\n`;

const SOURCES = {
  resize: 'def f(n):\n    import time\n    time.sleep(0.002 + (n % 17) * 0.001)\n    return n',
  score: 'def f(n):\n    return sum(i * i for i in range(2000 + n % 500))',
  parse: `def f(n):
    print('reading part', n)
    if n % 9 == 0:
        raise ValueError(f'line {n}: expected 7 fields, found 6')
    return n`,
  train: `def f(epochs):
    import sys, time
    print('loading 48,120 rows')
    for epoch in range(epochs):
        time.sleep(0.8)
        print(f'epoch {epoch + 1:3d}  loss {1.9 / (epoch + 1.4):.4f}  accuracy {1 - 0.62 / (epoch + 1.3):.4f}', flush=True)
        if epoch % 5 == 4:
            print('learning rate halved', file=sys.stderr, flush=True)
    return epochs`,
  fetch_page: `def f(n):
    import time
    print('GET /page/%d' % n)
    time.sleep(0.15)
    raise ConnectionError('the server closed the connection')`,
} as const;

export interface DemoTasks {
  /** Runs for as long as anybody looks, and prints. */
  readonly running: string;
  /** Was tried three times, and failed. */
  readonly failed: string;
  /** Waits for the running one. */
  readonly blocked: string;
}

/** Work of the kinds that people have, so that every page has something to show. Goes on until it is stopped. */
export class DemoLoad {
  private readonly client: TaskClient;
  private readonly functionIds = new Map<keyof typeof SOURCES, string>();
  private going: Promise<void> | undefined;
  private stopped = false;

  constructor(
    private readonly platform: SpecPlatform,
    private readonly python: PythonClient,
  ) {
    this.client = new TaskClient(platform, python);
  }

  async start(): Promise<DemoTasks> {
    for (const [name, body] of Object.entries(SOURCES)) {
      const payload = await this.python.pickleFunction(named(name, body), 'f');
      const answer = await this.platform.call('POST', '/register_function', { name, payload });
      this.functionIds.set(name as keyof typeof SOURCES, (answer.body as { function_id: string }).function_id);
    }
    const [running] = await this.submit('train', [[10_000]]);
    const retry = { max_retries: 2, backoff_s: 0.4, jitter: 0 };
    const [failed] = await this.submit('fetch_page', [[7]], { retry });
    const [blocked] = await this.submit('score', [[1]], { depends_on: [running], labels: ['gpu'] });
    await this.submit('score', [[1], [2]], { delay_s: 3600 });
    const cancelled = await this.submit('train', [[10_000]], { delay_s: 3600 });
    for (const id of cancelled) await this.client.cancel(id);
    await this.client.results([failed!]);
    this.going = this.keepGoing();
    return { running: running!, failed: failed!, blocked: blocked! };
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.going;
  }

  private async keepGoing(): Promise<void> {
    for (let round = 0; !this.stopped; round++) {
      const numbers = (count: number): number[][] => Array.from({ length: count }, (_, index) => [round * 97 + index]);
      const ids = [
        ...(await this.submit('score', numbers(60 + 50 * (round % 4)))),
        ...(await this.submit('resize', numbers(40))),
        ...(await this.submit('parse', numbers(10))),
      ];
      // One in so many is not wanted any more.
      if (round % 5 === 0) await this.client.cancel(ids.at(-12)!);
      await this.client.results(ids.slice(0, 60));
    }
  }

  private async submit(name: keyof typeof SOURCES, calls: readonly (readonly unknown[])[], options: object = {}) {
    const payloads = await Promise.all(calls.map((args) => this.python.pickleArguments(args)));
    const body = { function_id: this.functionIds.get(name), payloads, ...options };
    const answer = await this.platform.call('POST', '/tasks', body);
    if (answer.status !== 200) throw new Error(`submitting ${name} answered ${JSON.stringify(answer)}`);
    return (answer.body as { task_ids: string[] }).task_ids;
  }
}
