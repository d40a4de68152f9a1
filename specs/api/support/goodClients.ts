import type { SpecPlatform } from '../../support/platform.js';
import type { PythonClient } from '../../support/python.js';
import { TaskClient } from '../../support/taskClient.js';

const SQUARE = 'def f(x):\n    return x * x\n';
const CLIENTS = 2;

export interface ClientsReport {
  /** Tasks submitted, waited for, and answered rightly. */
  served: number;
  /** What else came back. */
  wrong: string[];
  /** From before the submission until the result was there; Python's pickling at the client included. */
  medianMs: number;
  slowestMs: number;
}

/** Clients that do nothing but run tasks, one after the other, and check what they return; all on new connections. */
export class GoodClients {
  private numbers = 0;

  constructor(
    private readonly platform: SpecPlatform,
    private readonly python: PythonClient,
  ) {}

  /** Are served while `abuse` lasts, and at least once. */
  async during(abuse: () => Promise<void>): Promise<ClientsReport> {
    const times: number[] = [];
    const wrong: string[] = [];
    let over = false;
    const serveUntilOver = async (): Promise<void> => {
      const client = new TaskClient(this.platform, this.python);
      do {
        const number = this.numbers++;
        const startMs = performance.now();
        try {
          const result = await client.result(await client.submitOne(SQUARE, [number], { priority: 'high' }));
          if (result.repr !== String(number * number)) wrong.push(`${number}: ${result.repr}`);
          else times.push(performance.now() - startMs);
        } catch (error) {
          wrong.push(`${number}: ${String(error)}`);
        }
      } while (!over);
    };
    const clients = Array.from({ length: CLIENTS }, serveUntilOver);
    try {
      await abuse();
    } finally {
      over = true;
      await Promise.all(clients);
    }
    times.sort((a, b) => a - b);
    const medianMs = times[times.length >> 1] ?? 0;
    return { served: times.length, wrong, medianMs, slowestMs: times.at(-1) ?? 0 };
  }
}
