import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { hasEnded, type Story } from '../answers.js';
import { ApiError, call } from '../api.js';
import { bytes, clockTime, duration, exactTime, plural } from '../format.js';
import { shortId, useFunctionName } from '../functionName.js';
import { ConfirmButton, type Doing, Said, useDoing } from '../parts/action.js';
import { Badge } from '../parts/badge.js';
import { Empty, ErrorNote } from '../parts/notes.js';
import { usePolled } from '../polled.js';
import { address } from '../router.js';
import { TaskLog } from './taskLog.js';
import { Timeline } from './timeline.js';

const REFRESH_MS = 1_000;
/** Of tasks that it depends on. */
const MAX_NAMED_TASKS = 20;

/** Everything about one task, as it happens until it has ended. */
export function TaskStory({ taskId }: { taskId: string }): JSX.Element {
  const [isOver, setOver] = useState(false);
  const {
    answer: task,
    error,
    again,
  } = usePolled<Story>(`/tasks/${encodeURIComponent(taskId)}`, isOver ? undefined : REFRESH_MS);
  if (task && hasEnded(task) !== isOver) setOver(hasEnded(task));
  if (task) return <Told task={task} error={error} again={again} />;
  return (
    <>
      <div class="page-head">
        <h1>Task {shortId(taskId)}</h1>
      </div>
      {error instanceof ApiError && error.status === 404 && (
        <Empty title="There is no such task">It may have expired: tasks that have ended are kept for a time.</Empty>
      )}
      {error !== undefined && !(error instanceof ApiError && error.status === 404) && (
        <ErrorNote error={error} again={again} />
      )}
      {error === undefined && <p class="empty">Loading…</p>}
    </>
  );
}

function Told({ task, error, again }: { task: Story; error: unknown; again: () => void }): JSX.Element {
  const name = useFunctionName(task.function_id);
  const doing = useDoing();
  return (
    <>
      <p class="crumb">
        <a href={address('/tasks')}>Tasks</a> <span aria-hidden="true">/</span>{' '}
        <a href={address('/tasks', { function: task.function_id })}>{name}</a>
      </p>
      <div class="page-head">
        <h1>
          {name} <span class="mono muted">{shortId(task.task_id)}</span>
        </h1>
        <Badge state={task.state} />
        <div class="actions end">
          <Actions task={task} doing={doing} again={again} />
        </div>
      </div>
      <Said doing={doing} />
      {error !== undefined && <ErrorNote error={error} again={again} />}
      {task.waiting_for && <WaitsFor waiting={task.waiting_for} />}
      {task.failure && <FailureCard failure={task.failure} />}
      <div class="story">
        <div class="story-main">
          <Timeline task={task} />
          <TaskLog taskId={task.task_id} hasEnded={hasEnded(task)} />
        </div>
        <Facts task={task} functionName={name} />
      </div>
    </>
  );
}

function Actions({ task, doing, again }: { task: Story; doing: Doing; again: () => void }): JSX.Element {
  const cancel = async (): Promise<ComponentChildren> => {
    const { cancelled, status } = await call<{ cancelled: boolean; status: string }>(`/tasks/${task.task_id}/cancel`, {
      method: 'POST',
    });
    again();
    return cancelled ? 'The task was cancelled.' : `Nothing to cancel: the task had ended, ${status.toLowerCase()}.`;
  };
  const runAgain = async (): Promise<ComponentChildren> => {
    const { task_id } = await call<{ task_id: string }>(`/tasks/${task.task_id}/run_again`, { method: 'POST' });
    again();
    return (
      <>
        It runs again as <a href={address(`/tasks/${task_id}`)}>task {shortId(task_id)}</a>.
      </>
    );
  };
  const isRunning = task.status === 'RUNNING';
  return (
    <>
      {!hasEnded(task) && (
        <ConfirmButton
          label="Cancel task"
          question="Cancel this task?"
          confirm="Cancel the task"
          disabled={doing.isBusy}
          onConfirm={() => doing.run(cancel)}
        >
          {isRunning ? 'It runs: its process is ended, with all that it has started.' : 'It will not start.'} Tasks that
          depend on it fail.
        </ConfirmButton>
      )}
      {(task.status === 'FAILED' || task.status === 'CANCELLED') && (
        <button type="button" class="primary" aria-busy={doing.isBusy} onClick={() => doing.run(runAgain)}>
          Run again
        </button>
      )}
    </>
  );
}

function WaitsFor({ waiting: { text, tasks = [] } }: { waiting: NonNullable<Story['waiting_for']> }): JSX.Element {
  return (
    <section class="note waits" aria-label="Why it waits">
      <p>
        <strong>Why it waits:</strong> it {text}.
      </p>
      {tasks.length > 0 && <TaskLinks ids={tasks} />}
    </section>
  );
}

function FailureCard({ failure }: { failure: NonNullable<Story['failure']> }): JSX.Element {
  const { type, exception, message, traceback, signal, exit_code } = failure;
  const facts = [
    exception !== null && exception !== type ? exception : undefined,
    signal !== null ? `signal ${signal}` : undefined,
    exit_code !== null ? `exit code ${exit_code}` : undefined,
  ].filter((fact) => fact !== undefined);
  return (
    <section class="card failure-card" aria-labelledby="failure-title">
      <header>
        <h2 id="failure-title">{type}</h2>
        <span class="muted">{facts.join(', ')}</span>
      </header>
      <div class="card-body">
        <p class="failure-message">{message}</p>
        {traceback !== null && (
          <pre class="traceback" tabIndex={0} role="region" aria-label="Traceback">
            {traceback.trimEnd()}
          </pre>
        )}
      </div>
    </section>
  );
}

function Facts({ task, functionName }: { task: Story; functionName: string | undefined }): JSX.Element {
  const ms = (value: number | null): string | undefined => (value === null ? undefined : exactTime(value));
  const facts: readonly (readonly [name: string, value: ComponentChildren])[] = [
    ['Task', <code class="whole-id">{task.task_id}</code>],
    ['Function', <a href={address('/tasks', { function: task.function_id })}>{functionName}</a>],
    ['Submitted', exactTime(task.queued_at_ms)],
    ['Started', ms(task.started_at_ms)],
    ['Ended', ms(task.finished_at_ms)],
    ['Run time', task.run_time_us === null ? undefined : duration(task.run_time_us / 1_000)],
    ['Worker', task.worker],
    ['Attempts', `${task.attempts} of at most ${task.max_attempts}`],
    ['Retries', task.max_retries === 0 ? undefined : `${task.retries} of at most ${task.max_retries}`],
    ['Priority', task.priority],
    ['Time limit', task.timeout_s === null ? undefined : duration(task.timeout_s * 1_000)],
    ['Labels', task.labels.length === 0 ? undefined : task.labels.join(', ')],
    ['Depends on', task.depends_on.length === 0 ? undefined : <TaskLinks ids={task.depends_on} />],
    ['Peak memory', task.peak_memory_kib === null ? undefined : bytes(task.peak_memory_kib * 1_024)],
    ['Result', task.result_bytes === 0 ? undefined : bytes(task.result_bytes)],
    ['Kept for', task.result_ttl_s === null ? undefined : duration(task.result_ttl_s * 1_000)],
    ['Run again as', task.run_again_as === null ? undefined : <TaskLinks ids={[task.run_again_as]} />],
  ];
  return (
    <section class="card facts-card" aria-labelledby="facts-title">
      <header>
        <h2 id="facts-title">Details</h2>
        <span class="muted">submitted {clockTime(task.queued_at_ms)}</span>
      </header>
      <dl class="facts card-body">
        {facts
          .filter(([, value]) => value !== undefined && value !== null)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  );
}

function TaskLinks({ ids }: { ids: readonly string[] }): JSX.Element {
  const others = ids.length - MAX_NAMED_TASKS;
  return (
    <span class="chips">
      {ids.slice(0, MAX_NAMED_TASKS).map((id) => (
        <a key={id} class="chip mono" href={address(`/tasks/${id}`)}>
          {shortId(id)}
        </a>
      ))}
      {others > 0 && <span class="muted">and {plural(others, 'other')}</span>}
    </span>
  );
}
