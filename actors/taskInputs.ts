import type { Failure, TaskInput } from '../bus/messages.js';
import type { ClaimedTask, TaskStore } from '../bus/taskStore.js';

/** Values for one task together: what one message can carry beside its arguments. */
const MAX_TASK_BYTES = 128 * 1024 * 1024;
/** Values for the tasks of one claim together; tasks beyond go back to the queue and come with another claim. */
const MAX_CLAIM_BYTES = 256 * 1024 * 1024;
/** Of one read; the sizes of values are learnt on the way. */
const MAX_READ_BYTES = 16 * 1024 * 1024;
const FIRST_READ = 16;
const MAX_READ = 500;
/** Spelt out in every pickle that refers to a value. */
const REFERENCE = 'mpcsfaas.task';

export interface WithInputs {
  ready: ClaimedTask[];
  failed: { task: ClaimedTask; failure: Failure }[];
  /** For another claim. */
  later: ClaimedTask[];
}

/**
 * Reads the values of the tasks that claimed tasks depend on and puts them into their orders; a value that several of them need is
 * read once. Tasks that only have to come after others get none.
 * @throws PlatformError STORE_UNAVAILABLE
 */
export async function withInputs(
  tasks: readonly ClaimedTask[],
  store: Pick<TaskStore, 'readOutcomes'>,
): Promise<WithInputs> {
  const result: WithInputs = { ready: [], failed: [], later: [] };
  const known = new Map<string, Buffer | undefined>();
  for (const task of tasks) {
    const ids = task.dependsOn;
    if (!ids || !task.arguments.includes(REFERENCE)) {
      result.ready.push(task);
    } else if (total(known.values()) > MAX_CLAIM_BYTES) {
      result.later.push(task);
    } else {
      await read(ids, known, store);
      const failure = failureOf(ids, known);
      if (failure) result.failed.push({ task, failure });
      else result.ready.push({ ...task, inputs: inputsOf(ids, known) });
    }
  }
  return result;
}

async function read(
  ids: readonly string[],
  known: Map<string, Buffer | undefined>,
  store: Pick<TaskStore, 'readOutcomes'>,
): Promise<void> {
  const missing = ids.filter((id) => !known.has(id));
  let count = FIRST_READ;
  let bytes = 0;
  for (let at = 0; at < missing.length && bytes <= MAX_TASK_BYTES;) {
    const batch = missing.slice(at, at + count);
    const outcomes = await store.readOutcomes(batch);
    batch.forEach((id, index) => {
      const outcome = outcomes[index];
      known.set(id, outcome?.state === 'completed' ? outcome.payload : undefined);
      bytes += outcome?.payload.length ?? 0;
    });
    at += batch.length;
    count = Math.max(1, Math.min(MAX_READ, Math.floor((MAX_READ_BYTES * at) / (bytes + 1))));
  }
}

export function withoutFunction(task: ClaimedTask): WithInputs['failed'][number] {
  const message = `function ${task.functionId} is not in Redis any more; register it again`;
  return { task, failure: { type: 'DeserializationError', message } };
}

function failureOf(ids: readonly string[], known: ReadonlyMap<string, Buffer | undefined>): Failure | undefined {
  const bytes = total(ids.map((id) => known.get(id)));
  if (bytes > MAX_TASK_BYTES) {
    const limit = `${MAX_TASK_BYTES / 1024 / 1024} MiB`;
    return {
      type: 'DependencyFailed',
      message: `the values of the tasks that it depends on have more than ${limit} together`,
    };
  }
  const gone = ids.find((id) => known.get(id) === undefined);
  if (gone === undefined) return undefined;
  return {
    type: 'DependencyFailed',
    message: `task ${gone}, which it depends on, is not there any more: its result has expired`,
  };
}

const inputsOf = (ids: readonly string[], known: ReadonlyMap<string, Buffer | undefined>): TaskInput[] =>
  ids.flatMap((taskId) => {
    const payload = known.get(taskId);
    return payload ? [{ taskId, payload }] : [];
  });

function total(values: Iterable<Buffer | undefined>): number {
  let bytes = 0;
  for (const value of values) bytes += value?.length ?? 0;
  return bytes;
}
