import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { FAILURES, type FunctionPage, STATUSES, type TaskSummary } from '../answers.js';
import { clockTime, duration, plural } from '../format.js';
import { shortId, useFunctionName } from '../functionName.js';
import { Badge } from '../parts/badge.js';
import { Empty, ErrorNote } from '../parts/notes.js';
import { type Column, Table } from '../parts/table.js';
import { usePolled } from '../polled.js';
import { address, goTo } from '../router.js';
import { PAGE_SIZE, type TaskFilter, type TaskListState, useTaskList } from './taskList.js';

const TASK_ID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i;

/** The list of tasks: filtered and paged by the server, still under the reader. */
export function Tasks({ query }: { query: URLSearchParams }): JSX.Element {
  const value = (name: string): string => query.get(name) ?? '';
  const filter = { status: value('status'), failure: value('failure'), function: value('function') };
  const cursor = value('cursor');
  const list = useTaskList(filter, cursor);
  // The pages that were left by “Older”, so that “Newer” leads back through them.
  const trail = useRef<string[]>([]);
  const show = (change: Partial<TaskFilter & { cursor: string }>): void => {
    goTo(address('/tasks', { ...filter, cursor, ...change }));
  };
  const filterBy = (change: Partial<TaskFilter>): void => {
    trail.current = [];
    show({ ...change, cursor: '' });
  };
  const pageBy = (to: string): void => {
    show({ cursor: to });
    scrollTo(0, 0);
  };
  return (
    <>
      <div class="page-head">
        <h1>Tasks</h1>
        <FindTask />
      </div>
      <Filters filter={filter} onChange={filterBy} />
      <section class="card list" aria-label="Tasks, newest first">
        <Fresh list={list} isFirstPage={cursor === ''} />
        <Rows list={list} isFiltered={Object.values(filter).some((one) => one !== '')} />
        <nav class="pager" aria-label="Pages of the list">
          <button
            type="button"
            disabled={cursor === ''}
            onClick={() => {
              trail.current = [];
              pageBy('');
            }}
          >
            Newest
          </button>
          <button type="button" disabled={cursor === ''} onClick={() => pageBy(trail.current.pop() ?? '')}>
            Newer
          </button>
          <button
            type="button"
            disabled={list.next === null}
            onClick={() => {
              trail.current.push(cursor);
              pageBy(list.next ?? '');
            }}
          >
            Older
          </button>
        </nav>
      </section>
    </>
  );
}

function FindTask(): JSX.Element {
  return (
    <form
      class="find end"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        const input = event.currentTarget.elements.namedItem('id') as HTMLInputElement;
        const id = TASK_ID.exec(input.value)?.[0];
        input.setCustomValidity(id === undefined ? 'A task id is 36 characters, such as GET /tasks shows them.' : '');
        if (id === undefined) input.reportValidity();
        else goTo(address(`/tasks/${id.toLowerCase()}`));
      }}
    >
      <input
        name="id"
        type="search"
        aria-label="Task id"
        placeholder="Task id"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => event.currentTarget.setCustomValidity('')}
      />
      <button type="submit">Open</button>
    </form>
  );
}

function Filters(props: { filter: TaskFilter; onChange: (change: Partial<TaskFilter>) => void }): JSX.Element {
  const { filter, onChange } = props;
  return (
    <div class="filters" role="group" aria-label="Filter the list">
      <Choice
        label="Status"
        value={filter.status}
        values={STATUSES.map((status) => [status, status.toLowerCase()])}
        onChange={(status) => onChange({ status })}
      />
      <FunctionChoice value={filter.function} onChange={(chosen) => onChange({ function: chosen })} />
      <Choice
        label="Failure"
        value={filter.failure}
        values={FAILURES.map((failure) => [failure, failure])}
        onChange={(failure) => onChange({ failure })}
      />
      {Object.values(filter).some((one) => one !== '') && (
        <button type="button" class="quiet" onClick={() => onChange({ status: '', failure: '', function: '' })}>
          Clear filters
        </button>
      )}
    </div>
  );
}

/** The newest hundred functions, and the one that is chosen. */
function FunctionChoice({ value, onChange }: { value: string; onChange: (value: string) => void }): JSX.Element {
  const { answer } = usePolled<FunctionPage>('/functions?limit=100', undefined);
  const name = useFunctionName(value === '' ? undefined : value);
  const functions = (answer?.functions ?? []).map(({ function_id, name }): [string, string] => [function_id, name]);
  if (name !== undefined && !functions.some(([id]) => id === value)) functions.unshift([value, name]);
  return <Choice label="Function" value={value} values={withoutTwins(functions)} onChange={onChange} />;
}

/** Functions of the same name are told apart by their ids. */
function withoutTwins(functions: [string, string][]): [string, string][] {
  const times = new Map<string, number>();
  for (const [, name] of functions) times.set(name, (times.get(name) ?? 0) + 1);
  return functions.map(([id, name]) => [id, times.get(name) === 1 ? name : `${name} (${shortId(id)})`]);
}

function Choice(props: {
  label: string;
  value: string;
  values: readonly (readonly [value: string, text: string])[];
  onChange: (value: string) => void;
}): JSX.Element {
  const { label, value, values, onChange } = props;
  return (
    <label>
      {label}
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">any</option>
        {values.map(([one, text]) => (
          <option key={one} value={one} selected={one === value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** How many there are here, and the button for those that came meanwhile; as high without it, so that nothing shifts. */
function Fresh({ list, isFirstPage }: { list: TaskListState; isFirstPage: boolean }): JSX.Element {
  const { tasks, fresh, reload } = list;
  const shown = tasks && tasks.length > 0 ? plural(tasks.length, 'task') : '';
  return (
    <div class="list-top">
      <p class="muted">{shown && `${shown}, ${isFirstPage ? 'newest first' : 'an older page'}`}</p>
      <div role="status">
        {fresh > 0 && (
          <button type="button" class="primary" onClick={reload}>
            {fresh >= PAGE_SIZE ? `${PAGE_SIZE} or more newer tasks` : plural(fresh, 'newer task')}
          </button>
        )}
      </div>
    </div>
  );
}

function Rows({ list, isFiltered }: { list: TaskListState; isFiltered: boolean }): JSX.Element {
  const { tasks, next, error, reload } = list;
  if (error !== undefined) return <ErrorNote error={error} again={reload} />;
  if (!tasks) return <p class="empty">Loading…</p>;
  if (tasks.length > 0) return <Table label="Tasks" columns={COLUMNS} rows={tasks} keyOf={({ task_id }) => task_id} />;
  if (next !== null) return <Empty title="None so far">Many tasks were looked through; “Older” goes on.</Empty>;
  return isFiltered ? (
    <Empty title="No task matches">Other filters may find some.</Empty>
  ) : (
    <Empty title="No tasks yet">They show up here as soon as somebody submits one.</Empty>
  );
}

const COLUMNS: readonly Column<TaskSummary>[] = [
  {
    head: 'Task',
    isTitle: true,
    cell: ({ task_id, function_name, function_id }) => (
      <a class="task-link" href={address(`/tasks/${task_id}`)}>
        <span>{function_name ?? shortId(function_id)}</span> <span class="mono muted">{shortId(task_id)}</span>
      </a>
    ),
  },
  { head: 'Status', isPlain: true, cell: ({ state }) => <Badge state={state} /> },
  { head: 'Submitted', cell: ({ queued_at }) => clockTime(Date.parse(queued_at)) },
  {
    head: 'Run time',
    isNumber: true,
    cell: ({ run_time_us }) => (run_time_us === null ? '' : duration(run_time_us / 1_000)),
  },
  {
    head: 'Attempts',
    isNumber: true,
    cell: ({ attempts }) => <span class={attempts < 2 ? 'usual' : ''}>{attempts}</span>,
  },
  { head: 'Worker', cell: ({ worker }) => <span class="cut worker-name">{worker}</span> },
  {
    head: 'Failure',
    cell: ({ failure }) =>
      failure && (
        <span class="cut failure" title={failure.message}>
          <strong>{failure.exception ?? failure.type}</strong> {failure.message}
        </span>
      ),
  },
];
