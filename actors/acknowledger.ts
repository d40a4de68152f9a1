import type { TaskRef } from '../bus/messages.js';
import type { Clock } from './clock.js';

/** Nobody waits for an acknowledgement: it only lets a worker forget. So some milliseconds' worth of them leave together. */
const GATHER_MS = 25;
const MAX_GATHERED = 256;

/** Tells workers which of their attempts are decided, some at a time. */
export class Acknowledger {
  private readonly gathered = new Map<string, TaskRef[]>();
  private count = 0;
  private timer: unknown;

  constructor(
    private readonly clock: Clock,
    private readonly send: (worker: string, settled: TaskRef[]) => void,
  ) {}

  push(worker: string, { taskId, fence }: TaskRef): void {
    const refs = this.gathered.get(worker);
    if (refs) refs.push({ taskId, fence });
    else this.gathered.set(worker, [{ taskId, fence }]);
    this.count++;
    if (this.count >= MAX_GATHERED) this.flush();
    else
      this.timer ??= this.clock.setTimeout(() => {
        this.flush();
      }, GATHER_MS);
  }

  flush(): void {
    this.clock.clearTimeout(this.timer);
    this.timer = undefined;
    this.count = 0;
    for (const [worker, refs] of this.gathered) this.send(worker, refs);
    this.gathered.clear();
  }
}
