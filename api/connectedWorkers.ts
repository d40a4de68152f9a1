import { PlatformError } from '../bus/errors.js';
import { type Capabilities, needsOf, pythonOf, satisfies } from '../bus/requirement.js';
import type { NewTask, TaskStore, WorkerRecord } from '../bus/taskStore.js';

/** What has been silent for longer does not run any more, and has not been removed yet. */
const ALIVE_MS = 10_000;
/** How long workers that were seen are taken to be there. */
const TRUSTED_MS = 1_000;

export const isAlive = ({ heartbeatAtMs }: { heartbeatAtMs: number }): boolean => heartbeatAtMs > Date.now() - ALIVE_MS;

export const capabilitiesOf = ({ labels, pythonImplementation, pythonVersion }: WorkerRecord): Capabilities => ({
  labels,
  python: pythonOf(pythonImplementation, pythonVersion),
});

/** Tells at submit of tasks that none of the workers which are connected can run, for their Python. */
export class ConnectedWorkers {
  private seen: readonly Capabilities[] = [];
  private seenAtMs = -Infinity;

  constructor(private readonly store: Pick<TaskStore, 'readWorkers'>) {}

  /**
   * Tasks wait when no worker is connected, or none with their labels: such workers are expected to come. Costs nothing for tasks that
   * need no Python.
   * @throws PlatformError NO_WORKER_WITH_PYTHON, STORE_UNAVAILABLE
   */
  async mustFit(tasks: readonly NewTask[]): Promise<void> {
    let checked: string | undefined;
    for (const { requirement, functionId } of tasks) {
      if (requirement === undefined || requirement === checked || !requirement.includes('@')) continue;
      checked = requirement;
      // A refusal is not made from memory: a worker may have joined since.
      if (misfits(requirement, await this.workers(TRUSTED_MS)).length === 0) continue;
      const others = misfits(requirement, await this.workers(0));
      if (others.length > 0) throw noneFits(functionId, requirement, others);
    }
  }

  private async workers(maxAgeMs: number): Promise<readonly Capabilities[]> {
    if (performance.now() - this.seenAtMs > maxAgeMs) {
      this.seen = (await this.store.readWorkers()).filter(isAlive).map(capabilitiesOf);
      this.seenAtMs = performance.now();
    }
    return this.seen;
  }
}

/** The workers that have the labels, when none of them has the Python. */
function misfits(requirement: string, workers: readonly Capabilities[]): readonly Capabilities[] {
  const { labels, python } = needsOf(requirement);
  const labelled = workers.filter((worker) => satisfies(worker, { labels, python: '' }));
  return labelled.some((worker) => satisfies(worker, { labels, python })) ? [] : labelled;
}

function noneFits(functionId: string, requirement: string, others: readonly Capabilities[]): PlatformError {
  const { labels, python } = needsOf(requirement);
  const have = [...new Set(others.map((worker) => worker.python || 'an unknown Python'))].sort().join(', ');
  const which = labels.length > 0 ? `the workers with ${labels.join(', ')}` : 'the connected workers';
  return new PlatformError(
    'NO_WORKER_WITH_PYTHON',
    `Function ${functionId} was made by ${python}, which its bytecode needs, and ${which} have ${have}.`,
  );
}
