import { taskTable, workerTable } from './listCommands.js';
import { CommandError, EXIT, type Json, type PlatformApi } from './platformApi.js';
import type { Screen } from './screen.js';
import { number, object, objects, plural, text } from './words.js';

const CLEAR = '\u001b[H\u001b[J';
const SHOWN_TASKS = 15;

export async function showStatus(api: PlatformApi, screen: Screen): Promise<void> {
  const stats = await api.get('/stats');
  if (screen.json) screen.object({ url: api.url, ...stats });
  else for (const line of statusLines(api, screen, stats)) screen.line(line);
}

function statusLines(api: PlatformApi, screen: Screen, stats: Json): string[] {
  const [tasks = {}, queues = {}, slots = {}, rates = {}] = ['tasks', 'queues', 'slots', 'rates'].map((name) =>
    object(stats[name]),
  );
  const [workers, dispatchers] = [number(stats['workers']), number(stats['dispatchers'])];
  const high = number(queues['high']);
  return [
    `${screen.paint('bold', 'MPCSFaaS')} at ${api.url}`,
    `Tasks    ${number(tasks['queued'])} queued${high > 0 ? ` (${high} high)` : ''}, ${number(tasks['running'])} running, ${number(tasks['delayed'])} delayed, ${number(tasks['retrying'])} retrying, ${number(tasks['blocked'])} blocked`,
    `Ended    ${number(tasks['completed'])} completed, ${number(tasks['failed'])} failed, ${number(tasks['cancelled'])} cancelled`,
    `Slots    ${number(slots['busy'])} of ${number(slots['total'])} busy, ${plural(workers, 'worker')}, ${plural(dispatchers, 'dispatcher')}`,
    `Rate     ${number(rates['completed_per_s'])} completed/s, ${number(rates['failed_per_s'])} failed/s`,
    ...(dispatchers === 0
      ? [screen.paint('red', 'No dispatcher runs: tasks wait. Start one with `make dispatcher`.')]
      : []),
    ...(workers === 0
      ? [screen.paint('red', 'No worker is connected: tasks wait. Start one with `make worker`.')]
      : []),
  ];
}

export interface TopOptions {
  interval: string;
  count?: string;
  once?: boolean;
}

/** The state of the platform, again and again: in place in a terminal. */
export async function showTop(api: PlatformApi, screen: Screen, { interval, count, once }: TopOptions): Promise<void> {
  const intervalMs = Number(interval) * 1000;
  const refreshes = once ? 1 : count === undefined ? Infinity : Number(count);
  if (!(intervalMs >= 100)) throw new CommandError('--interval takes seconds, at least 0.1.', EXIT.usage);
  if (!(refreshes >= 1)) throw new CommandError('--count takes a whole number above 0.', EXIT.usage);
  for (let done = 0; done < refreshes; done++) {
    if (done > 0) await new Promise((resolve) => setTimeout(resolve, intervalMs));
    const [stats, workers, running] = await Promise.all([
      api.get('/stats'),
      api.get('/workers'),
      api.get(`/tasks?status=RUNNING&limit=${SHOWN_TASKS}`),
    ]);
    if (screen.json) {
      screen.object({ url: api.url, ...stats, workers: workers['workers'], running: running['tasks'] });
      continue;
    }
    const tasks = objects(running['tasks']);
    const lines = [
      ...statusLines(api, screen, stats),
      '',
      ...workerTable(screen, objects(workers['workers'])),
      '',
      ...(tasks.length === 0 ? ['Nothing runs.'] : taskTable(screen, tasks)),
    ];
    const rows = process.stdout.rows || 40;
    if (screen.isTerminal) screen.raw(`${CLEAR}${lines.slice(0, rows - 1).join('\n')}\n`);
    else screen.line(`${lines.join('\n')}\n`);
  }
}

const DRAIN_AGAIN_MS = 2_000;
const DRAIN_POLL_MS = 200;

/** Has a worker or dispatcher leave, and waits until it has. */
export async function drain(
  api: PlatformApi,
  screen: Screen,
  kind: string,
  name: string,
  { wait, timeout }: { wait: boolean; timeout: string },
): Promise<void> {
  if (kind !== 'worker' && kind !== 'dispatcher') {
    throw new CommandError(`Drain what? \`worker NAME\` or \`dispatcher ID\`; ${kind} is neither.`, EXIT.usage);
  }
  const path = `/${kind}s/${encodeURIComponent(name)}/drain`;
  await api.post(path);
  const deadlineMs = Date.now() + Number(timeout) * 1000;
  let toldMs = Date.now();
  let gone = false;
  while (wait && !gone && Date.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    const present = objects((await api.get(`/${kind}s`))[`${kind}s`]);
    gone = !present.some((one) => text(one[kind === 'worker' ? 'name' : 'id']) === name);
    // An event may have been lost.
    if (!gone && Date.now() - toldMs > DRAIN_AGAIN_MS) {
      toldMs = Date.now();
      await api.post(path).catch((error: unknown) => {
        if (!(error instanceof CommandError && error.exitCode === EXIT.usage)) throw error;
      });
    }
  }
  if (screen.json) screen.object({ [kind]: name, draining: !gone, gone });
  else screen.line(gone ? `${kind} ${name} has left` : `${kind} ${name} is draining`);
  if (wait && !gone)
    throw new CommandError(`It has not left within ${timeout} s; it goes on draining.`, EXIT.taskFailed);
}
