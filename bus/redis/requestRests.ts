import type { NewTask } from '../taskStore.js';

/** How much of a request is still to be written, so that a limit refuses it whole; for one call of `submit.lua`. */
export class RequestRests {
  private readonly written = new Map<object, { tasks: number; bytes: number }>();

  /** @param shards over which a request spreads, as its tenant's limits do */
  constructor(private readonly shards: number) {}

  /** Tasks and bytes of arguments from this run on. */
  before(run: readonly NewTask[]): [tasks: number, bytes: number] {
    const bytes = run.reduce((sum, task) => sum + task.arguments.length, 0);
    const request = run[0]?.request;
    if (!request) return [run.length, bytes];
    const done = this.written.get(request) ?? { tasks: 0, bytes: 0 };
    this.written.set(request, { tasks: done.tasks + run.length, bytes: done.bytes + bytes });
    return [
      Math.max(run.length, Math.ceil((request.unwritten - done.tasks) / this.shards)),
      Math.max(bytes, Math.ceil((request.unwrittenBytes - done.bytes) / this.shards)),
    ];
  }
}
