import { argumentBytes } from '../orderBytes.js';
import type { NewTask } from '../taskStore.js';

interface Written {
  readonly number: number;
  tasks: number;
  bytes: number;
}

/** How much of a request is still to be written, so that a limit refuses it whole; for one call of `submit.lua`. */
export class RequestRests {
  private readonly written = new Map<object, Written>();

  /** @param shards over which a request spreads, as its tenant's limits do */
  constructor(private readonly shards: number) {}

  /** Number of the run's request within this call, and its tasks and bytes of arguments from this run on. */
  before(run: readonly NewTask[]): [request: number, tasks: number, bytes: number] {
    const bytes = argumentBytes(run);
    const request = run[0]?.request;
    // Without one a run is a request by itself.
    const done = this.writtenOf(request ?? run);
    const rest = request ?? { unwritten: 0, unwrittenBytes: 0 };
    const tasks = Math.max(run.length, Math.ceil((rest.unwritten - done.tasks) / this.shards));
    const restBytes = Math.max(bytes, Math.ceil((rest.unwrittenBytes - done.bytes) / this.shards));
    done.tasks += run.length;
    done.bytes += bytes;
    return [done.number, tasks, restBytes];
  }

  private writtenOf(request: object): Written {
    const known = this.written.get(request);
    if (known) return known;
    const written = { number: this.written.size + 1, tasks: 0, bytes: 0 };
    this.written.set(request, written);
    return written;
  }
}
