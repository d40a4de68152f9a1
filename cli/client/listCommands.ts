import { CommandError, EXIT, type Json, type PlatformApi } from './platformApi.js';
import { type Screen, table } from './screen.js';
import { ago, duration, failureLine, number, objects, plural, status, text } from './words.js';

/** Pages that a list may take in a row without an end: then it says where to go on. */
const MAX_PAGES = 200;
const PAGE = 100;
/** Of one request, so that its answer is not long in coming. */
const RUN_AGAIN_AT_ONCE = 1_000;

export interface TasksOptions {
  status?: string;
  failure?: string;
  function?: string;
  limit: string;
  cursor?: string;
}

export async function listTasks(api: PlatformApi, screen: Screen, options: TasksOptions): Promise<void> {
  const limit = wholeNumber('--limit', options.limit);
  const tasks: Json[] = [];
  let cursor: unknown = options.cursor;
  for (let page = 0; page < MAX_PAGES && tasks.length < limit; page++) {
    const query = new URLSearchParams({ limit: String(Math.min(PAGE, limit - tasks.length)) });
    if (options.status !== undefined) query.set('status', options.status.toUpperCase());
    if (options.failure !== undefined) query.set('failure', options.failure);
    if (options.function !== undefined) query.set('function', options.function);
    if (typeof cursor === 'string') query.set('cursor', cursor);
    const answer = await api.get(`/tasks?${query.toString()}`);
    tasks.push(...objects(answer['tasks']));
    cursor = answer['cursor'];
    if (typeof cursor !== 'string') break;
  }
  if (screen.json) {
    screen.object({ tasks, cursor: cursor ?? null });
    return;
  }
  if (tasks.length === 0) screen.line('No such tasks.');
  else for (const line of taskTable(screen, tasks)) screen.line(line);
  if (typeof cursor === 'string') screen.note(`There may be more: --limit, or --cursor ${cursor}`);
}

export function taskTable(screen: Screen, tasks: readonly Json[]): string[] {
  const rows = tasks.map((task) => [
    text(task['task_id']),
    status(screen, task['status']),
    text(task['function_name']) || text(task['function_id']).slice(0, 8),
    ago(task['queued_at']),
    typeof task['run_time_us'] === 'number' ? duration(task['run_time_us'] / 1000) : '',
    text(task['worker']),
    failureLine(task['failure']).slice(0, 80) || (task['state'] === 'queued' ? '' : noteOf(task)),
  ]);
  return table(['TASK', 'STATUS', 'FUNCTION', 'SUBMITTED', 'RAN', 'WORKER', 'NOTE'], rows);
}

function noteOf({ state, run_again_as }: Json): string {
  if (typeof run_again_as === 'string') return `run again as ${run_again_as}`;
  return ['delayed', 'retrying', 'blocked'].includes(text(state)) ? text(state) : '';
}

export async function listWorkers(api: PlatformApi, screen: Screen): Promise<void> {
  const answer = await api.get('/workers');
  if (screen.json) {
    screen.object(answer);
    return;
  }
  const workers = objects(answer['workers']);
  if (workers.length === 0) screen.line('No worker is connected. Start one with `make worker`.');
  else for (const line of workerTable(screen, workers)) screen.line(line);
}

export function workerTable(screen: Screen, workers: readonly Json[]): string[] {
  const rows = workers.map((worker) => [
    text(worker['name']),
    screen.paint(worker['state'] === 'suspect' || worker['state'] === 'lost' ? 'red' : 'green', text(worker['state'])),
    `${number(worker['running'])}/${number(worker['slots'])}`,
    text(worker['queued']),
    text(worker['mode']),
    text(worker['python_version']),
    text(worker['dispatcher']),
    ago(worker['heartbeat_at']),
  ]);
  return table(['WORKER', 'STATE', 'BUSY', 'AHEAD', 'MODE', 'PYTHON', 'DISPATCHER', 'HEARD'], rows);
}

export async function cancelTasks(api: PlatformApi, screen: Screen, taskIds: readonly string[]): Promise<void> {
  for (const taskId of taskIds) {
    const answer = await api.post(`/tasks/${encodeURIComponent(taskId)}/cancel`);
    if (screen.json) screen.object(answer);
    else if (answer['cancelled'] === true) screen.line(`${taskId} is cancelled`);
    else screen.line(`${taskId} had ended before: ${status(screen, answer['status'])}`);
  }
}

export async function runAgain(
  api: PlatformApi,
  screen: Screen,
  taskIds: readonly string[],
  filter: { failure?: string; function?: string; limit?: string },
): Promise<void> {
  if (taskIds.length > 0) {
    for (const taskId of taskIds) {
      const answer = await api.post(`/tasks/${encodeURIComponent(taskId)}/run_again`);
      if (screen.json) screen.object(answer);
      else screen.line(`${taskId} runs again as ${text(answer['task_id'])}`);
    }
    return;
  }
  if (filter.failure === undefined && filter.function === undefined) {
    throw new CommandError('Say what to run again: tasks, or --failure TYPE, or --function ID.', EXIT.usage);
  }
  const { limit, ...which } = filter;
  const most = limit === undefined ? Infinity : wholeNumber('--limit', limit);
  let total = 0;
  let cursor: unknown;
  do {
    const answer = await api.post('/tasks/run_again', {
      ...{ ...which, limit: Math.min(RUN_AGAIN_AT_ONCE, most - total) },
      ...(typeof cursor === 'string' && { cursor }),
    });
    const count = number(answer['count']);
    total += count;
    ({ cursor } = answer);
    if (screen.json) screen.object(answer);
    else if (count > 0 || (total === 0 && cursor === null))
      screen.line(`${plural(count, 'task')} run again, in group ${text(answer['group_id'])}`);
  } while (typeof cursor === 'string' && total < most);
  if (typeof cursor === 'string' && !screen.json) screen.note('There may be more: the same command goes on with them.');
}

function wholeNumber(option: string, value: string): number {
  const whole = Number(value);
  if (!Number.isInteger(whole) || whole < 1) {
    throw new CommandError(`${option} ${value} is not a whole number above 0.`, EXIT.usage);
  }
  return whole;
}
