import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { CommandError, EXIT, type Json, type PlatformApi } from './platformApi.js';
import type { Screen } from './screen.js';
import { failureLine, object, text } from './words.js';

/** Needs nothing but dill: run by path, since the chosen Python need not have the package. */
const SCRIPT = join(PACKAGE_ROOT, 'python', 'mpcsfaas', 'cli_run.py');
const PYTHON_TIMEOUT_MS = 120_000;
const MAX_PYTHON_OUTPUT = 256 * 1024 * 1024;
const WAIT_SECONDS = 30;

export interface RunOptions {
  args: string;
  kwargs: string;
  python?: string;
  wait: boolean;
  timeout?: string;
  retries?: string;
  priority?: string;
  label: string[];
  fresh?: boolean;
}

/** Registers a function of a file, runs it, waits, prints what it returned. */
export async function runFunction(
  api: PlatformApi,
  screen: Screen,
  target: string,
  options: RunOptions & { env: Readonly<Record<string, string | undefined>> },
): Promise<void> {
  const python = options.python ?? options.env['PYTHON'] ?? 'python3';
  const request = taskOptions(options);
  const packed = await askPython(python, options.env, {
    do: 'pack',
    target,
    args: options.args,
    kwargs: options.kwargs,
  });
  const { function_id } = await api.post('/register_function', { name: packed['name'], payload: packed['function'] });
  const { task_id } = await api.post('/execute_function', { function_id, payload: packed['arguments'], ...request });
  const taskId = text(task_id);
  if (!options.wait) {
    if (screen.json) screen.object({ task_id, function_id });
    else screen.line(taskId);
    return;
  }
  if (!screen.json && screen.isTerminal) screen.note(screen.paint('dim', `task ${taskId}`));
  const answer = await resultOf(api, taskId);
  const loaded = await askPython(python, options.env, { do: 'unpack', result: text(answer['result']) });
  const failed = answer['status'] !== 'COMPLETED';
  const { failure } = failed ? await api.get(`/tasks/${taskId}`) : { failure: null };
  if (screen.json) {
    const { repr, value } = loaded;
    screen.object({ task_id, status: answer['status'], value: failed ? null : (value ?? null), repr, failure });
  } else if (!failed) screen.line(text(loaded['repr']));
  else screen.note(text(object(failure)?.['traceback']).trimEnd() || failureLine(failure));
  if (failed)
    throw new CommandError(
      `The task ${text(answer['status']).toLowerCase()}. See: mpcsfaas explain ${taskId}`,
      EXIT.taskFailed,
    );
}

async function resultOf(api: PlatformApi, taskId: string): Promise<Json> {
  for (;;) {
    const answer = await api.get(`/result/${taskId}?wait=${WAIT_SECONDS}`, WAIT_SECONDS * 1000);
    if (['COMPLETED', 'FAILED', 'CANCELLED'].includes(text(answer['status']))) return answer;
  }
}

function taskOptions({ timeout, retries, priority, label, fresh }: RunOptions): Json {
  const numberOf = (option: string, value: string): number => {
    const number = Number(value);
    if (!Number.isFinite(number) || number < 0)
      throw new CommandError(`${option} ${value} is not a number.`, EXIT.usage);
    return number;
  };
  return {
    ...(timeout !== undefined && { timeout_s: numberOf('--timeout', timeout) }),
    ...(retries !== undefined && numberOf('--retries', retries) > 0 && { retry: { max_retries: Number(retries) } }),
    ...(priority !== undefined && { priority }),
    ...(label.length > 0 && { labels: label }),
    ...(fresh === true && { isolation: 'fresh' }),
  };
}

/** @throws CommandError with what Python has to say against it */
function askPython(python: string, env: Readonly<Record<string, string | undefined>>, question: Json): Promise<Json> {
  return new Promise((resolve, reject) => {
    const options = { env, timeout: PYTHON_TIMEOUT_MS, maxBuffer: MAX_PYTHON_OUTPUT };
    const child = execFile(python, [SCRIPT], options, (error, stdout, stderr) => {
      const lastLine = stdout.trimEnd().split('\n').at(-1) ?? '';
      if (error?.code === 'ENOENT') {
        reject(new CommandError(`There is no Python at ${python}; name one with --python.`, EXIT.usage));
      } else if (error || !lastLine.startsWith('{')) {
        reject(new CommandError(stderr.trim() || `${python} did not answer.`, EXIT.usage));
      } else {
        if (stderr !== '') process.stderr.write(stderr);
        resolve(JSON.parse(lastLine) as Json);
      }
    });
    child.stdin?.on('error', () => undefined); // Its end says more.
    child.stdin?.end(JSON.stringify(question));
  });
}
