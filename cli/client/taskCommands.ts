import { type Json, type PlatformApi } from './platformApi.js';
import type { Screen } from './screen.js';
import { ago, duration, failureLine, number, object, plural, status, text } from './words.js';

/** What can be done about a failure, where it is not the function's own. */
const ADVICE: Record<string, string> = {
  Timeout: 'Give it longer with timeout_s, or let it do less.',
  ProcessCrashed: 'The Python process died under it: look for native code, os._exit, or the memory of the machine.',
  MemoryLimit: 'It took more memory than a process may have: let it do less at once.',
  WorkerFailure: 'Its worker was lost. `mpcsfaas workers` shows who is there; `mpcsfaas run-again` tries once more.',
  DeserializationError:
    "Its function or arguments cannot be loaded: the worker's Python needs the modules they name (--pythonpath).",
  ResultSerializationError: 'What it returned cannot be pickled: return plain values.',
  ResultTooLarge: 'Return less, write it to a file, or raise MAX_RESULT_BYTES.',
  VersionMismatch: 'Register it with the source, or start a worker with the Python it was made with.',
  DependencyFailed: 'Look at the task it depended on.',
};

export async function explainTask(api: PlatformApi, screen: Screen, taskId: string): Promise<void> {
  const task = await api.get(`/tasks/${encodeURIComponent(taskId)}`);
  if (screen.json) {
    screen.object(task);
    return;
  }
  screen.line(`${text(task['task_id'])} is ${status(screen, task['status'])}.`);
  for (const line of story(task)) screen.line(line);
  const { traceback } = object(task['failure']) ?? {};
  if (typeof traceback === 'string') screen.line(`\n${screen.paint('dim', traceback.trimEnd())}`);
}

function story(task: Json): string[] {
  const failure = object(task['failure']);
  const attempts = plural(number(task['attempts']), 'attempt');
  switch (task['status']) {
    case 'COMPLETED':
      return [`It ran ${ran(task)} on ${text(task['worker'])}, ${attempts}, and ended ${ago(task['finished_at'])}.`];
    case 'FAILED':
      return [
        failureLine(failure),
        `It ended ${ago(task['finished_at'])} after ${attempts}${task['worker'] === null ? '' : `, the last on ${text(task['worker'])}`}.`,
        ...(ADVICE[text(failure?.['type'])] === undefined ? [] : [ADVICE[text(failure?.['type'])] ?? '']),
        ...again(task),
      ];
    case 'CANCELLED':
      return [`It was cancelled ${ago(task['finished_at'])}.`, ...again(task)];
    default:
      return [pending(task)];
  }
}

const ran = ({ run_time_us }: Json): string => duration(number(run_time_us) / 1000);
const again = ({ run_again_as }: Json): string[] =>
  typeof run_again_as === 'string' ? [`It was run again as ${run_again_as}.`] : [];

/** In the platform's own words where it has them. */
function pending(task: Json): string {
  const words = text(object(task['waiting_for'])?.['text']);
  if (words !== '') return words;
  switch (task['state']) {
    case 'running':
      return `It runs${task['worker'] === null ? '' : ` on ${text(task['worker'])}`}, attempt ${number(task['attempts'])}, taken ${ago(task['claimed_at'])}.`;
    case 'delayed':
    case 'retrying':
      return `It waits until ${text(task['due_at'])}${task['state'] === 'retrying' ? ' for its next attempt' : ''}.`;
    default:
      return `It waits for a free slot since ${ago(task['queued_at'])}.`;
  }
}
