import { CpuMeter, type Processes, sum } from './processes.js';

/** What a measured run says of itself. */
export interface Run {
  readonly tasks: number;
  readonly clientCpuSeconds: number;
}

/** Processor time per task, by process, microseconds; over all runs together. */
export class CpuShares {
  private readonly spentMs = new Map<string, number>();
  private tasks = 0;

  /** Measures what a run costs the processes, and its client. */
  async during(processes: () => Processes, run: () => Promise<Run>): Promise<void> {
    const meter = new CpuMeter(processes());
    const { tasks, clientCpuSeconds } = await run();
    for (const [name, ms] of meter.spentMs()) this.add(name, ms);
    this.add('client', clientCpuSeconds * 1000);
    this.tasks += tasks;
  }

  get names(): string[] {
    return [...this.spentMs.keys()];
  }

  us(name: string): number {
    return ((this.spentMs.get(name) ?? 0) * 1000) / this.tasks;
  }

  get totalUs(): number {
    return sum(this.names.map((name) => this.us(name)));
  }

  private add(name: string, ms: number): void {
    this.spentMs.set(name, (this.spentMs.get(name) ?? 0) + ms);
  }
}

/** A run whose client is this very process; `run` answers the number of its tasks. */
export async function withOwnCpu(run: () => Promise<number>): Promise<Run> {
  const before = process.cpuUsage();
  const tasks = await run();
  const { user, system } = process.cpuUsage(before);
  return { tasks, clientCpuSeconds: (user + system) / 1e6 };
}
